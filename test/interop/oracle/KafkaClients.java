import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.*;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.*;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.admin.*;
import org.apache.kafka.clients.consumer.*;
import org.apache.kafka.clients.producer.*;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.serialization.*;

/**
 * Kafka's Java clients behind the same kind of line protocol as KafkaOracle: one JSON command a line, one JSON answer a
 * line. Producers are kept by name until they are closed, so that one may go on after others have written.
 */
public final class KafkaClients {
  static final ObjectMapper M = new ObjectMapper();
  final Map<String, KafkaProducer<byte[], byte[]>> producers = new HashMap<>();

  public static void main(String[] args) throws Exception {
    PrintStream answers = System.out;
    System.setOut(System.err);
    KafkaClients clients = new KafkaClients();
    BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    for (String line; (line = in.readLine()) != null; ) {
      ObjectNode answer = M.createObjectNode();
      try {
        clients.run(M.readTree(line), answer);
        answer.put("ok", true);
      } catch (Throwable e) {
        answer.put("ok", false).put("error", e.getClass().getSimpleName()).put("code", "NONE").put("message", String.valueOf(e.getMessage()));
      }
      answers.println(M.writeValueAsString(answer));
      answers.flush();
    }
    System.exit(0);
  }

  void run(JsonNode c, ObjectNode a) throws Exception {
    switch (c.get("cmd").asText()) {
      case "createTopic" -> createTopic(c, a);
      case "send" -> send(c, a);
      case "closeProducer" -> producers.remove(c.get("producer").asText()).close();
      case "consume" -> consume(c, a);
      case "waitReady" -> {
        try (Admin admin = admin(c)) { a.put("clusterId", admin.describeCluster().clusterId().get(60, TimeUnit.SECONDS)); }
      }
      default -> throw new IllegalArgumentException("no such command: " + c.get("cmd").asText());
    }
  }

  static Properties common(JsonNode c) {
    Properties p = new Properties();
    p.put("bootstrap.servers", c.get("bootstrap").asText());
    return p;
  }

  static Admin admin(JsonNode c) { return Admin.create(common(c)); }

  void createTopic(JsonNode c, ObjectNode a) throws Exception {
    String name = c.get("topic").asText();
    Map<String, String> config = new HashMap<>();
    c.path("config").fields().forEachRemaining(e -> config.put(e.getKey(), e.getValue().asText()));
    try (Admin admin = admin(c)) {
      CreateTopicsResult r = admin.createTopics(List.of(new NewTopic(name, 1, (short) 1).configs(config)));
      r.all().get(60, TimeUnit.SECONDS);
      a.put("topicId", r.topicId(name).get().toString());
    }
  }

  /** Sends records with a named producer, which is made the first time; "transactionalId" makes one transaction of them, ended as "outcome" says. */
  void send(JsonNode c, ObjectNode a) throws Exception {
    boolean transactional = c.has("transactionalId");
    KafkaProducer<byte[], byte[]> producer = producers.computeIfAbsent(c.get("producer").asText(), name -> {
      Properties p = common(c);
      p.put("linger.ms", "0");
      p.put("compression.type", c.path("compression").asText("none"));
      if (transactional) p.put("transactional.id", c.get("transactionalId").asText());
      KafkaProducer<byte[], byte[]> made = new KafkaProducer<>(p, new ByteArraySerializer(), new ByteArraySerializer());
      if (transactional) made.initTransactions();
      return made;
    });
    if (transactional) producer.beginTransaction();
    ArrayNode offsets = a.putArray("offsets");
    for (JsonNode r : c.get("records")) {
      RecordMetadata m = producer.send(new ProducerRecord<>(c.get("topic").asText(), 0, b(r.get("key")), b(r.get("value")))).get(60, TimeUnit.SECONDS);
      offsets.add(m.offset());
    }
    if (transactional) {
      if (c.path("outcome").asText("COMMIT").equals("COMMIT")) producer.commitTransaction();
      else producer.abortTransaction();
    }
  }

  static byte[] b(JsonNode n) { return n == null || n.isNull() ? null : Base64.getDecoder().decode(n.asText()); }
  static String b64(byte[] x) { return x == null ? null : Base64.getEncoder().encodeToString(x); }

  /** All records of partition 0 from the start to the end that the isolation level allows. */
  void consume(JsonNode c, ObjectNode a) throws Exception {
    Properties p = common(c);
    p.put("isolation.level", c.path("isolation").asText("read_uncommitted"));
    p.put("enable.auto.commit", "false");
    p.put("auto.offset.reset", "earliest");
    TopicPartition tp = new TopicPartition(c.get("topic").asText(), 0);
    ArrayNode out = a.putArray("records");
    try (KafkaConsumer<byte[], byte[]> consumer = new KafkaConsumer<>(p, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
      consumer.assign(List.of(tp));
      consumer.seekToBeginning(List.of(tp));
      long end = consumer.endOffsets(List.of(tp), Duration.ofSeconds(60)).get(tp);
      a.put("endOffset", end);
      long deadline = System.currentTimeMillis() + 60_000;
      while (consumer.position(tp, Duration.ofSeconds(60)) < end) {
        if (System.currentTimeMillis() > deadline) throw new IllegalStateException("no more records at " + consumer.position(tp));
        for (ConsumerRecord<byte[], byte[]> r : consumer.poll(Duration.ofMillis(200))) {
          ObjectNode x = out.addObject();
          x.put("offset", r.offset()).put("timestamp", r.timestamp()).put("key", b64(r.key())).put("value", b64(r.value()));
          ArrayNode hs = x.putArray("headers");
          for (Header h : r.headers()) { ArrayNode h2 = hs.addArray(); h2.add(h.key()); h2.add(b64(h.value())); }
        }
      }
    }
  }
}
