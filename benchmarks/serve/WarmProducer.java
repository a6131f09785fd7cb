import org.apache.kafka.tools.ProducerPerformance;

/**
 * kafka-producer-perf-test twice in one JVM: what stands before `--then` warms the client up, what stands behind it is what counts. At
 * half load the first second of a cold JVM would be all that the 99th percentile sees.
 */
public final class WarmProducer {
    public static void main(String[] args) throws Exception {
        int then = java.util.Arrays.asList(args).indexOf("--then");
        ProducerPerformance.main(java.util.Arrays.copyOfRange(args, 0, then));
        System.out.println("--then");
        ProducerPerformance.main(java.util.Arrays.copyOfRange(args, then + 1, args.length));
    }
}
