import java.time.Duration;
import java.util.Collection;
import java.util.List;
import java.util.Properties;
import java.util.stream.Collectors;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/**
 * A member of a group, with Kafka's own consumer, until standard input is closed.
 *
 * <p>Arguments: bootstrap servers, topic, group, class of the assignor. Prints "assigned", "revoked"
 * and "lost" with partitions, and "record" with partition and offset.
 */
public class Member {
    private static volatile boolean over = false;

    private static void say(String what, Collection<TopicPartition> partitions) {
        System.out.println(what + partitions.stream()
            .map(tp -> " " + tp.partition()).sorted().collect(Collectors.joining()));
        System.out.flush();
    }

    public static void main(String[] args) throws Exception {
        Properties settings = new Properties();
        settings.put("bootstrap.servers", args[0]);
        settings.put("group.id", args[2]);
        settings.put("partition.assignment.strategy", args[3]);
        settings.put("auto.offset.reset", "earliest");
        settings.put("auto.commit.interval.ms", "500");
        settings.put("session.timeout.ms", "6000");
        settings.put("heartbeat.interval.ms", "500");
        settings.put("group.protocol", "classic");
        Thread listening = new Thread(() -> {
            try {
                while (System.in.read() >= 0) { }
            } catch (java.io.IOException gone) {
                // The parent has ended.
            }
            over = true;
        });
        listening.setDaemon(true);
        listening.start();
        try (KafkaConsumer<byte[], byte[]> consumer = new KafkaConsumer<>(
                settings, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
            consumer.subscribe(List.of(args[1]), new ConsumerRebalanceListener() {
                @Override public void onPartitionsAssigned(Collection<TopicPartition> partitions) {
                    say("assigned", partitions);
                }
                @Override public void onPartitionsRevoked(Collection<TopicPartition> partitions) {
                    say("revoked", partitions);
                }
                @Override public void onPartitionsLost(Collection<TopicPartition> partitions) {
                    say("lost", partitions);
                }
            });
            while (!over) {
                for (ConsumerRecord<byte[], byte[]> record : consumer.poll(Duration.ofMillis(100))) {
                    System.out.println("record " + record.partition() + " " + record.offset());
                }
                System.out.flush();
            }
        }
    }
}
