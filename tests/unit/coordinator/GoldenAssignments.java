/*
 * Makes golden_assignments.json: what the assignors of Kafka's Java client answer to random groups.
 *
 *     java -cp '.kafka/libs/*' tests/unit/coordinator/GoldenAssignments.java \
 *         > tests/unit/coordinator/golden_assignments.json
 *
 * The same seed gives the same groups.  Members are fresh, or hold what a former assignment of a
 * smaller, larger or otherwise subscribed group gave them; some lag behind by a generation.
 */

import com.fasterxml.jackson.databind.ObjectMapper;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Base64;
import java.util.Collections;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import org.apache.kafka.clients.consumer.ConsumerGroupMetadata;
import org.apache.kafka.clients.consumer.ConsumerPartitionAssignor;
import org.apache.kafka.clients.consumer.ConsumerPartitionAssignor.Assignment;
import org.apache.kafka.clients.consumer.ConsumerPartitionAssignor.GroupSubscription;
import org.apache.kafka.clients.consumer.ConsumerPartitionAssignor.Subscription;
import org.apache.kafka.clients.consumer.CooperativeStickyAssignor;
import org.apache.kafka.clients.consumer.RangeAssignor;
import org.apache.kafka.clients.consumer.RoundRobinAssignor;
import org.apache.kafka.clients.consumer.StickyAssignor;
import org.apache.kafka.common.Cluster;
import org.apache.kafka.common.Node;
import org.apache.kafka.common.PartitionInfo;
import org.apache.kafka.common.TopicPartition;

@SuppressWarnings("deprecation")
public class GoldenAssignments {
    static class Member {
        String id;
        String instanceId;
        String rack;
        List<String> topics = new ArrayList<>();
        List<TopicPartition> owned = new ArrayList<>();
        int generation = -1;
    }

    static class Group {
        Map<String, List<int[]>> topics = new TreeMap<>();
        List<Node> nodes = new ArrayList<>();
        List<Member> members = new ArrayList<>();
    }

    final Random random;

    GoldenAssignments(long seed) {
        random = new Random(seed);
    }

    public static void main(String[] args) throws Exception {
        long seed = args.length > 0 ? Long.parseLong(args[0]) : 881;
        int count = args.length > 1 ? Integer.parseInt(args[1]) : 160;
        GoldenAssignments generator = new GoldenAssignments(seed);
        System.out.print("[");
        for (int i = 0; i < count; i++) {
            System.out.print(i == 0 ? "\n" : ",\n");
            Object item = generator.item(i % 2 == 0, i % 4 >= 2, i % 3);
            System.out.print(new ObjectMapper().writeValueAsString(item));
        }
        System.out.println("\n]");
    }

    /** One group with the answers; claims: 0 nobody holds anything, 1 consistent, 2 some are stale. */
    Object item(boolean equalSubscriptions, boolean racks, int claims) {
        Group group = group(equalSubscriptions, racks);
        if (claims > 0) {
            hold(group, equalSubscriptions, claims == 2);
        }
        Map<String, Object> answers = new LinkedHashMap<>();
        for (ConsumerPartitionAssignor assignor : List.of(
                new RangeAssignor(), new RoundRobinAssignor(),
                new StickyAssignor(), new CooperativeStickyAssignor())) {
            answers.put(assignor.name(), plain(assign(assignor, group)));
        }
        Map<String, Object> item = new LinkedHashMap<>();
        Map<String, String> rackOfNode = new TreeMap<>();
        for (Node node : group.nodes) {
            rackOfNode.put(node.idString(), node.rack());
        }
        item.put("racks", rackOfNode);
        item.put("topics", group.topics);
        Map<String, Object> members = new LinkedHashMap<>();
        for (Member member : group.members) {
            Map<String, Object> fields = new LinkedHashMap<>();
            fields.put("instance", member.instanceId);
            fields.put("rack", member.rack);
            fields.put("topics", member.topics);
            fields.put("owned", plain(member.owned));
            fields.put("generation", member.generation);
            fields.put("sticky", text(userData(new StickyAssignor(), member)));
            fields.put("cooperative-sticky", text(userData(new CooperativeStickyAssignor(), member)));
            members.put(member.id, fields);
        }
        item.put("members", members);
        item.put("answers", answers);
        return item;
    }

    Group group(boolean equalSubscriptions, boolean racks) {
        Group group = new Group();
        int nodes = 1 + random.nextInt(4);
        for (int i = 0; i < nodes; i++) {
            group.nodes.add(new Node(i, "localhost", 9092 + i, racks ? "rack-" + i % 3 : null));
        }
        int topics = 1 + random.nextInt(5);
        int usual = 1 + random.nextInt(8);
        for (int i = 0; i < topics; i++) {
            List<int[]> partitions = new ArrayList<>();
            int count = random.nextBoolean() ? usual : 1 + random.nextInt(12);
            int replicas = 1 + random.nextInt(Math.min(2, nodes));
            int first = random.nextInt(nodes);
            for (int p = 0; p < count; p++) {
                int[] assigned = new int[replicas];
                for (int r = 0; r < replicas; r++) {
                    assigned[r] = (first + p + r) % nodes;
                }
                partitions.add(assigned);
            }
            group.topics.put("t" + i, partitions);
        }
        int members = 1 + random.nextInt(8);
        List<String> names = new ArrayList<>(group.topics.keySet());
        for (int i = 0; i < members; i++) {
            Member member = new Member();
            member.id = String.format("member-%02d", random.nextInt(4) * 16 + i);
            member.instanceId = random.nextInt(4) == 0 ? "static-" + (9 - i) : null;
            member.rack = racks && random.nextInt(6) > 0 ? "rack-" + random.nextInt(3) : null;
            member.topics.addAll(equalSubscriptions ? names : someOf(names));
            group.members.add(member);
        }
        return group;
    }

    List<String> someOf(List<String> names) {
        List<String> some = new ArrayList<>();
        for (String name : names) {
            if (random.nextInt(5) < 3) {
                some.add(name);
            }
        }
        return some.isEmpty() ? List.of(names.get(random.nextInt(names.size()))) : some;
    }

    /** Let the members hold what an assignment among others than they are now has given them. */
    void hold(Group group, boolean equalSubscriptions, boolean stale) {
        Group former = new Group();
        former.nodes = group.nodes;
        for (Map.Entry<String, List<int[]>> topic : group.topics.entrySet()) {
            int count = topic.getValue().size();
            int known = random.nextInt(4) == 0 ? random.nextInt(count + 1) : count;
            former.topics.put(topic.getKey(), topic.getValue().subList(0, known));
        }
        for (Member member : group.members) {
            if (random.nextInt(4) == 0) {
                continue; // has joined since
            }
            former.members.add(copy(member, equalSubscriptions));
        }
        int gone = random.nextInt(3);
        for (int i = 0; i < gone; i++) {
            Member member = copy(group.members.get(0), equalSubscriptions);
            member.id = "gone-" + i;
            member.instanceId = null;
            former.members.add(member);
        }
        if (former.members.isEmpty()) {
            return;
        }
        Map<String, Assignment> held = assign(new StickyAssignor(), former);
        Map<String, Assignment> heldBefore = new HashMap<>();
        if (stale) {
            Group before = new Group();
            before.nodes = group.nodes;
            before.topics = former.topics;
            for (Member member : former.members) {
                if (random.nextInt(2) == 0) {
                    before.members.add(copy(member, equalSubscriptions));
                }
            }
            if (!before.members.isEmpty()) {
                heldBefore = assign(new StickyAssignor(), before);
            }
        }
        for (Member member : group.members) {
            if (heldBefore.containsKey(member.id) && random.nextInt(2) == 0) {
                member.owned = heldBefore.get(member.id).partitions();
                member.generation = 6;
            } else if (held.containsKey(member.id)) {
                member.owned = held.get(member.id).partitions();
                member.generation = 7;
            }
        }
    }

    Member copy(Member member, boolean equalSubscriptions) {
        Member copy = new Member();
        copy.id = member.id;
        copy.instanceId = member.instanceId;
        copy.rack = member.rack;
        copy.topics = new ArrayList<>(member.topics);
        if (!equalSubscriptions && copy.topics.size() > 1 && random.nextInt(4) == 0) {
            copy.topics.remove(0);
        }
        return copy;
    }

    static Map<String, Assignment> assign(ConsumerPartitionAssignor assignor, Group group) {
        List<PartitionInfo> partitions = new ArrayList<>();
        for (Map.Entry<String, List<int[]>> topic : group.topics.entrySet()) {
            int number = 0;
            for (int[] replicas : topic.getValue()) {
                Node[] nodes = new Node[replicas.length];
                for (int r = 0; r < replicas.length; r++) {
                    nodes[r] = group.nodes.get(replicas[r]);
                }
                partitions.add(new PartitionInfo(topic.getKey(), number++, nodes[0], nodes, nodes));
            }
        }
        Cluster cluster = new Cluster("golden", group.nodes, partitions, Set.of(), Set.of());
        Map<String, Subscription> subscriptions = new HashMap<>();
        for (Member member : group.members) {
            boolean eager = !(assignor instanceof CooperativeStickyAssignor);
            Subscription subscription = new Subscription(
                member.topics, userData(assignor, member),
                eager ? List.of() : member.owned, member.generation,
                Optional.ofNullable(member.rack));
            subscription.setGroupInstanceId(Optional.ofNullable(member.instanceId));
            subscriptions.put(member.id, subscription);
        }
        return assignor.assign(cluster, new GroupSubscription(subscriptions)).groupAssignment();
    }

    /** What the member's own assignor would have sent. */
    static ByteBuffer userData(ConsumerPartitionAssignor like, Member member) {
        ConsumerPartitionAssignor own;
        if (like instanceof CooperativeStickyAssignor) {
            own = new CooperativeStickyAssignor();
        } else if (like instanceof StickyAssignor) {
            own = new StickyAssignor();
        } else {
            return null;
        }
        if (member.generation >= 0) {
            own.onAssignment(new Assignment(member.owned), new ConsumerGroupMetadata(
                "golden", member.generation, member.id, Optional.empty()));
        }
        return own.subscriptionUserData(new TreeSet<>(member.topics));
    }

    static String text(ByteBuffer data) {
        if (data == null) {
            return null;
        }
        byte[] bytes = new byte[data.remaining()];
        data.duplicate().get(bytes);
        return Base64.getEncoder().encodeToString(bytes);
    }

    static List<String> plain(List<TopicPartition> partitions) {
        List<String> names = new ArrayList<>();
        partitions.forEach(partition -> names.add(partition.toString()));
        return names;
    }

    static Map<String, Object> plain(Map<String, Assignment> assignments) {
        Map<String, Object> found = new TreeMap<>();
        assignments.forEach((id, assignment) -> found.put(id, plain(assignment.partitions())));
        return found;
    }
}
