import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Random;
import java.util.function.LongSupplier;

/**
 * Records how Java's own HashMap orders keys, for test/storage/java-long-hash-map.golden.test.ts:
 *
 *   java scripts/JavaHashMapOrder.java > test/storage/java-long-hash-map.ndjson
 *
 * One line a case: steps ("+key" put, "-key" remove, "clear") and the order of the keys afterwards.
 */
public class JavaHashMapOrder {
    private static final Random random = new Random(42);
    private static final List<String> cases = new ArrayList<>();

    public static void main(String[] args) {
        for (int size : new int[] {1, 12, 13, 24, 25, 100, 400}) {
            long[] counter = {0};
            record("counting up", size, 0, () -> counter[0]++);
            record("counting up in blocks of brokers", size, 0.1, () -> counter[0]++ % 3 * 1000 + counter[0] / 3);
            record("below 2^31", size, 0.2, () -> random.nextInt(Integer.MAX_VALUE));
            record("any", size, 0.2, random::nextLong);
            record("few, put and removed again and again", size * 3, 0.45, () -> random.nextInt(40));
        }
        // Nine or more keys in a bucket of a small table make it grow before it is three quarters full.
        long[] colliding = {0};
        record("multiples of 16", 9, 0, () -> colliding[0]++ * 16);
        colliding[0] = 0;
        record("multiples of 64", 8, 0, () -> colliding[0]++ * 64);
        colliding[0] = 0;
        record("same upper and lower half", 8, 0.3, () -> { long h = ++colliding[0]; return h << 32 | h; });
        System.out.println(String.join("\n", cases));
    }

    private static void record(String name, int steps, double removals, LongSupplier keys) {
        HashMap<Long, String> map = new HashMap<>();
        List<String> done = new ArrayList<>();
        for (int i = 0; i < steps; i++) {
            if (!map.isEmpty() && random.nextDouble() < removals) {
                List<Long> present = new ArrayList<>(map.keySet());
                long key = present.get(random.nextInt(present.size()));
                map.remove(key);
                done.add("\"-" + key + "\"");
            } else if (i > 0 && i == steps / 2 && removals > 0.4) {
                map.clear();
                done.add("\"clear\"");
            } else {
                long key = keys.getAsLong();
                map.put(key, "");
                done.add("\"+" + key + "\"");
            }
        }
        List<String> order = new ArrayList<>();
        map.keySet().forEach(key -> order.add("\"" + key + "\""));
        cases.add("{\"name\": \"" + name + "\", \"steps\": [" + String.join(",", done) + "], \"order\": ["
            + String.join(",", order) + "]}");
    }
}
