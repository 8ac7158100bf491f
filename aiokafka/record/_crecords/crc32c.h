/* CRC-32C (Castagnoli), the checksum of Kafka's magic 2 record batches. */
#ifndef AIOKAFKA_CRC32C_H
#define AIOKAFKA_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* Fill the tables and pick the implementation. Call once, before the others. */
void aiokafka_crc32c_init(void);

/* Checksum of `size` bytes, continuing from `crc` (0 to start). */
uint32_t aiokafka_crc32c(uint32_t crc, const void *data, size_t size);

/* The portable implementation, whatever the machine offers (for tests). */
uint32_t aiokafka_crc32c_portable(uint32_t crc, const void *data, size_t size);

/* Name of the implementation in use: "sse4.2", "armv8" or "portable". */
const char *aiokafka_crc32c_implementation(void);

#endif
