import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.File;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.lang.management.ManagementFactory;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import java.util.Properties;
import java.util.concurrent.ConcurrentHashMap;
import java.util.stream.Stream;
import org.apache.kafka.common.compress.Compression;
import org.apache.kafka.common.record.FileRecords;
import org.apache.kafka.common.record.MemoryRecords;
import org.apache.kafka.common.record.MemoryRecordsBuilder;
import org.apache.kafka.common.record.Record;
import org.apache.kafka.common.record.RecordBatch;
import org.apache.kafka.common.record.TimestampType;
import org.apache.kafka.common.utils.Time;
import org.apache.kafka.server.util.KafkaScheduler;
import org.apache.kafka.storage.internals.log.AppendOrigin;
import org.apache.kafka.storage.internals.log.LogConfig;
import org.apache.kafka.storage.internals.log.LogDirFailureChannel;
import org.apache.kafka.storage.internals.log.LogOffsetsListener;
import org.apache.kafka.storage.internals.log.ProducerStateManagerConfig;
import org.apache.kafka.storage.internals.log.UnifiedLog;
import org.apache.kafka.storage.log.metrics.BrokerTopicStats;

/**
 * Kafka's own engine doing what kafkats-side.ts does with kafkats, on the same bytes: one JSON command per line on standard
 * input, one JSON answer per line on standard output, so that the JVM stays warm from run to run. A command as the only argument
 * is run once, and the JVM ends without closing anything: that is a process from its start to the result.
 *
 *   {"cmd":"append","dir","source","bytes"}       ready batches, taken from the beginning of the log file "source", through
 *                                                 UnifiedLog.appendAsLeader
 *   {"cmd":"appendRecords","dir","bytes","recordSize"}
 *                                                 MemoryRecordsBuilder with 16 KiB, then appendAsLeader
 *   {"cmd":"iterate","files"}                     FileRecords: every batch ensureValid, every record's key and value touched
 *   {"cmd":"open","dir"}                          UnifiedLog.create after an unclean shutdown
 */
public final class KafkaPeers {
  static final ObjectMapper JSON = new ObjectMapper();
  static final int POOL_BYTES = 8 << 20;
  static final int BATCH_BYTES = 16384;

  final KafkaScheduler scheduler = new KafkaScheduler(1);

  KafkaPeers() { scheduler.startup(); }

  public static void main(String[] args) throws Exception {
    PrintStream answers = System.out;
    System.setOut(System.err); // nothing else may write among the answers
    KafkaPeers peers = new KafkaPeers();
    if (args.length == 1) {
      answers.println(peers.run(JSON.readTree(args[0])));
      answers.flush();
      Runtime.getRuntime().halt(0);
    }
    BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    for (String line; (line = in.readLine()) != null; ) {
      String answer;
      try {
        answer = peers.run(JSON.readTree(line)).toString();
      } catch (Throwable e) {
        e.printStackTrace();
        answer = JSON.createObjectNode().put("error", e.toString()).toString();
      }
      answers.println(answer);
      answers.flush();
    }
    Runtime.getRuntime().halt(0);
  }

  ObjectNode run(JsonNode c) throws Exception {
    return switch (c.get("cmd").asText()) {
      case "append" -> append(c);
      case "appendRecords" -> appendRecords(c);
      case "iterate" -> iterate(c);
      case "open" -> open(c);
      default -> throw new IllegalArgumentException("no such command: " + c.get("cmd"));
    };
  }

  UnifiedLog openLog(File dir, boolean wasClean) throws Exception {
    return UnifiedLog.create(dir, new LogConfig(new Properties()), 0, 0, scheduler, new BrokerTopicStats(), Time.SYSTEM, 900_000,
        new ProducerStateManagerConfig(86_400_000, false), 600_000, new LogDirFailureChannel(4), wasClean, Optional.empty(),
        new ConcurrentHashMap<>(), false, LogOffsetsListener.NO_OP_OFFSETS_LISTENER);
  }

  static void remove(File dir) throws Exception {
    try (Stream<Path> paths = Files.walk(dir.toPath())) {
      for (Path path : paths.sorted(Comparator.reverseOrder()).toList()) Files.delete(path);
    }
  }

  /** Nanoseconds of each call, whose percentiles are told. */
  static final class Latency {
    long[] nanos = new long[1 << 16];
    int count;

    void add(long value) {
      if (count == nanos.length) nanos = Arrays.copyOf(nanos, count * 2);
      nanos[count++] = value;
    }

    /** At the shares of 1 that the caller asks for. */
    void tell(ObjectNode answer, JsonNode shares) {
      Arrays.sort(nanos, 0, count);
      ArrayNode out = answer.putArray("latencyMs");
      for (JsonNode share : shares)
        out.add(nanos[Math.min(count - 1, (int) Math.floor(share.asDouble() * count))] / 1e6);
    }
  }

  static final com.sun.management.OperatingSystemMXBean PROCESS =
      (com.sun.management.OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();

  /** What one run took: all threads' CPU, the compiler's and the collector's too. */
  static final class Clock {
    final long cpuFrom = PROCESS.getProcessCpuTime();
    final long from = System.nanoTime();

    ObjectNode told(long bytes, long records) {
      return JSON.createObjectNode().put("seconds", (System.nanoTime() - from) / 1e9)
          .put("cpuSeconds", (PROCESS.getProcessCpuTime() - cpuFrom) / 1e9).put("bytes", bytes).put("records", records);
    }
  }

  /** Whole batches from the beginning of a log file, as a producer would send them: base offset 0. */
  static List<ByteBuffer> readyBatches(Path source) throws Exception {
    ByteBuffer pool = ByteBuffer.allocate(POOL_BYTES);
    try (FileChannel file = FileChannel.open(source, StandardOpenOption.READ)) {
      while (pool.hasRemaining() && file.read(pool) > 0) { }
    }
    pool.flip();
    List<ByteBuffer> batches = new ArrayList<>();
    for (int at = 0; at + 12 <= pool.limit(); ) {
      int size = pool.getInt(at + 8) + 12;
      if (at + size > pool.limit()) break;
      ByteBuffer batch = ByteBuffer.allocate(size);
      batch.put(0, pool, at, size);
      batches.add(batch);
      at += size;
    }
    return batches;
  }

  ObjectNode append(JsonNode c) throws Exception {
    List<ByteBuffer> batches = readyBatches(Path.of(c.get("source").asText()));
    File dir = new File(c.get("dir").asText());
    UnifiedLog log = openLog(dir, true);
    Latency latency = new Latency();
    long limit = c.get("bytes").asLong(), bytes = 0, records = 0;
    Clock clock = new Clock();
    long before = clock.from;
    for (int i = 0; ; i++) {
      ByteBuffer batch = batches.get(i % batches.size());
      if (bytes + batch.limit() > limit) break; // no more than one segment, so that nothing is rolled and flushed meanwhile
      batch.putLong(0, 0L); // the last append gave it an offset
      records += log.appendAsLeader(MemoryRecords.readableRecords(batch), 0, AppendOrigin.CLIENT).numMessages();
      bytes += batch.limit();
      long now = System.nanoTime();
      latency.add(now - before);
      before = now;
    }
    ObjectNode answer = clock.told(bytes, records);
    log.closeHandlers();
    remove(dir);
    latency.tell(answer, c.get("shares"));
    return answer;
  }

  ObjectNode appendRecords(JsonNode c) throws Exception {
    int recordSize = c.get("recordSize").asInt();
    byte[][] values = new byte[POOL_BYTES / recordSize][recordSize];
    for (int i = 0; i < values.length; i++)
      for (int j = 0; j < recordSize; j++) values[i][j] = (byte) ('a' + (i * 7 + j * 13) % 26);
    File dir = new File(c.get("dir").asText());
    UnifiedLog log = openLog(dir, true);
    ByteBuffer memory = ByteBuffer.allocate(BATCH_BYTES); // used again, as a producer's pool does
    long limit = c.get("bytes").asLong() - BATCH_BYTES, bytes = 0, records = 0;
    int next = 0;
    Clock clock = new Clock();
    while (bytes < limit) {
      memory.clear();
      long timestamp = System.currentTimeMillis();
      try (MemoryRecordsBuilder builder = MemoryRecords.builder(memory, RecordBatch.CURRENT_MAGIC_VALUE, Compression.NONE,
          TimestampType.CREATE_TIME, 0L)) {
        while (builder.hasRoomFor(timestamp, null, values[next], Record.EMPTY_HEADERS)) {
          builder.append(timestamp, null, values[next]);
          next = next + 1 == values.length ? 0 : next + 1;
        }
        MemoryRecords built = builder.build();
        bytes += built.sizeInBytes();
        records += log.appendAsLeader(built, 0, AppendOrigin.CLIENT).numMessages();
      }
    }
    ObjectNode answer = clock.told(bytes, records);
    log.closeHandlers();
    remove(dir);
    return answer;
  }

  ObjectNode iterate(JsonNode c) throws Exception {
    long bytes = 0, records = 0, touched = 0;
    Clock clock = new Clock();
    for (JsonNode file : c.get("files")) {
      try (FileRecords log = FileRecords.open(new File(file.asText()), false)) {
        for (RecordBatch batch : log.batches()) {
          batch.ensureValid();
          bytes += batch.sizeInBytes();
          for (Record record : batch) {
            records++;
            if (record.hasKey()) touched += first(record.key());
            if (record.hasValue()) touched += first(record.value());
          }
        }
      }
    }
    return clock.told(bytes, records).put("touched", touched);
  }

  static int first(ByteBuffer data) {
    return data.remaining() + (data.hasRemaining() ? data.get(data.position()) : 0);
  }

  ObjectNode open(JsonNode c) throws Exception {
    Clock clock = new Clock();
    UnifiedLog log = openLog(new File(c.get("dir").asText()), false);
    ObjectNode answer = clock.told(log.size(), log.logEndOffset());
    log.closeHandlers();
    return answer;
  }
}
