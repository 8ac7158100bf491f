import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Base64;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.Future;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * Writes records with Kafka's own producer.
 *
 * <p>Arguments: bootstrap servers. Each line of standard input: topic, codec, partition, timestamp,
 * key, value, headers; bytes in base 64 with "=" before it, "-" for null, headers as name:value,...
 */
public class Write {
    private static byte[] bytes(String text) {
        return text.equals("-") ? null : Base64.getDecoder().decode(text.substring(1));
    }

    public static void main(String[] args) throws Exception {
        Map<String, KafkaProducer<byte[], byte[]>> producers = new HashMap<>();
        List<Future<RecordMetadata>> sent = new ArrayList<>();
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            String[] words = line.split(" ", -1);
            KafkaProducer<byte[], byte[]> producer = producers.computeIfAbsent(words[1], codec -> {
                Properties settings = new Properties();
                settings.put("bootstrap.servers", args[0]);
                settings.put("compression.type", codec);
                settings.put("linger.ms", "20");
                return new KafkaProducer<>(settings, new ByteArraySerializer(), new ByteArraySerializer());
            });
            ProducerRecord<byte[], byte[]> record = new ProducerRecord<>(
                words[0], Integer.valueOf(words[2]), Long.valueOf(words[3]), bytes(words[4]), bytes(words[5]));
            for (String header : words[6].isEmpty() ? new String[0] : words[6].split(",")) {
                String[] pair = header.split(":");
                record.headers().add(
                    new RecordHeader(new String(bytes(pair[0]), StandardCharsets.UTF_8), bytes(pair[1])));
            }
            sent.add(producer.send(record));
        }
        for (Future<RecordMetadata> future : sent) {
            future.get();
        }
        producers.values().forEach(KafkaProducer::close);
    }
}
