/*
 * CRC-32C (Castagnoli polynomial 0x1EDC6F41, reflected 0x82F63B78; RFC 3720,
 * appendix B.4).
 *
 * Three implementations, chosen when the extension is imported:
 *   - the crc32 instruction of SSE 4.2, compiled through a target attribute so
 *     that the rest of the build keeps its baseline, used when cpuid says so;
 *   - the CRC instructions of ARMv8, when the compiler targets them;
 *   - slicing-by-8 tables everywhere else (also MSVC).
 */
#include "crc32c.h"

#include <string.h>

#define POLYNOMIAL 0x82F63B78u

#if (defined(__GNUC__) || defined(__clang__)) && (defined(__x86_64__) || defined(__i386__))
#define HAVE_SSE42 1
#include <nmmintrin.h>
#elif defined(__ARM_FEATURE_CRC32) && (defined(__GNUC__) || defined(__clang__))
#define HAVE_ARM_CRC 1
#include <arm_acle.h>
#endif

typedef uint32_t (*crc_function)(uint32_t, const unsigned char *, size_t);

static uint32_t table[8][256];

static void fill_tables(void)
{
    unsigned int n, k;
    for (n = 0; n < 256; n++) {
        uint32_t crc = n;
        for (k = 0; k < 8; k++)
            crc = (crc & 1u) ? (crc >> 1) ^ POLYNOMIAL : crc >> 1;
        table[0][n] = crc;
    }
    for (n = 0; n < 256; n++)
        for (k = 1; k < 8; k++)
            table[k][n] = (table[k - 1][n] >> 8) ^ table[0][table[k - 1][n] & 0xffu];
}

/* All three take and return the inverted register, so that they can be mixed. */

static uint32_t update_portable(uint32_t crc, const unsigned char *p, size_t size)
{
    /* Bytes are combined by shifts: the same result on any endianness. */
    while (size >= 8) {
        uint32_t low = crc ^ ((uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 |
                              (uint32_t)p[3] << 24);
        crc = table[7][low & 0xffu] ^ table[6][(low >> 8) & 0xffu] ^
              table[5][(low >> 16) & 0xffu] ^ table[4][low >> 24] ^ table[3][p[4]] ^
              table[2][p[5]] ^ table[1][p[6]] ^ table[0][p[7]];
        p += 8;
        size -= 8;
    }
    while (size--)
        crc = (crc >> 8) ^ table[0][(crc ^ *p++) & 0xffu];
    return crc;
}

#ifdef HAVE_SSE42
__attribute__((target("sse4.2"))) static uint32_t update_sse42(uint32_t crc,
                                                               const unsigned char *p,
                                                               size_t size)
{
#if defined(__x86_64__)
    uint64_t wide = crc;
    while (size >= 8) {
        uint64_t word;
        memcpy(&word, p, 8);
        wide = _mm_crc32_u64(wide, word);
        p += 8;
        size -= 8;
    }
    crc = (uint32_t)wide;
#endif
    while (size >= 4) {
        uint32_t word;
        memcpy(&word, p, 4);
        crc = _mm_crc32_u32(crc, word);
        p += 4;
        size -= 4;
    }
    while (size--)
        crc = _mm_crc32_u8(crc, *p++);
    return crc;
}
#endif

#ifdef HAVE_ARM_CRC
static uint32_t update_arm(uint32_t crc, const unsigned char *p, size_t size)
{
#if !defined(__ARM_BIG_ENDIAN)
    while (size >= 8) {
        uint64_t word;
        memcpy(&word, p, 8);
        crc = __crc32cd(crc, word);
        p += 8;
        size -= 8;
    }
#endif
    while (size--)
        crc = __crc32cb(crc, *p++);
    return crc;
}
#endif

static crc_function update = update_portable;
static const char *implementation = "portable";

void aiokafka_crc32c_init(void)
{
    fill_tables();
#if defined(HAVE_SSE42)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("sse4.2")) {
        update = update_sse42;
        implementation = "sse4.2";
    }
#elif defined(HAVE_ARM_CRC)
    update = update_arm;
    implementation = "armv8";
#endif
}

uint32_t aiokafka_crc32c(uint32_t crc, const void *data, size_t size)
{
    return ~update(~crc, (const unsigned char *)data, size);
}

uint32_t aiokafka_crc32c_portable(uint32_t crc, const void *data, size_t size)
{
    return ~update_portable(~crc, (const unsigned char *)data, size);
}

const char *aiokafka_crc32c_implementation(void)
{
    return implementation;
}
