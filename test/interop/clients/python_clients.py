"""
The Python clients behind one line protocol: one JSON command a line, one JSON answer a line.

    python_clients.py kafka-python | confluent-kafka

Bytes are base64. Commands:
  produce  bootstrap, topic, acks ("0", "1", "all"), compression, idempotent,
           records: [{partition, timestamp, key, value, headers: [[name, value]]}]
  read     bootstrap, topics, isolation -> records, all partitions from the start to the end
  join     bootstrap, group, topic, member: a member of a group, which goes on in the background
  owned    member -> partitions it has now, and what it has read
  leave    member: commits what it has read, and leaves
"""
import base64
import json
import sys
import threading
import time

TIMEOUT_S = 60


def b(text):
    return None if text is None else base64.b64decode(text)


def b64(data):
    return None if data is None else base64.b64encode(data).decode()


def answer_of(topic, partition, offset, timestamp, key, value, headers):
    return {
        "topic": topic, "partition": partition, "offset": offset, "timestamp": -1 if timestamp is None else timestamp,
        "key": b64(key), "value": b64(value), "headers": [[name, b64(data)] for name, data in headers or []],
    }


class Python:
    """kafka-python"""

    def __init__(self):
        import kafka
        self.kafka = kafka

    def produce(self, c):
        acks = "all" if c["acks"] == "all" else int(c["acks"])
        producer = self.kafka.KafkaProducer(
            bootstrap_servers=c["bootstrap"], acks=acks, linger_ms=50, enable_idempotence=c["idempotent"],
            compression_type=None if c["compression"] == "none" else c["compression"])
        try:
            sent = [producer.send(c["topic"], partition=r["partition"], key=b(r["key"]), value=b(r["value"]),
                                  timestamp_ms=r["timestamp"], headers=[(n, b(d)) for n, d in r["headers"]])
                    for r in c["records"]]
            for one in sent:
                one.get(timeout=TIMEOUT_S)
            producer.flush(timeout=TIMEOUT_S)
        finally:
            producer.close()

    def read(self, c):
        consumer = self.kafka.KafkaConsumer(bootstrap_servers=c["bootstrap"], isolation_level=c["isolation"],
                                            enable_auto_commit=False, auto_offset_reset="earliest")
        try:
            parts = [self.kafka.TopicPartition(t, p) for t in c["topics"] for p in sorted(consumer.partitions_for_topic(t))]
            consumer.assign(parts)
            consumer.seek_to_beginning(*parts)
            ends = consumer.end_offsets(parts)
            records, deadline = [], time.time() + TIMEOUT_S
            while any(consumer.position(p) < ends[p] for p in parts):
                if time.time() > deadline:
                    raise TimeoutError([(p, consumer.position(p), ends[p]) for p in parts if consumer.position(p) < ends[p]])
                for batch in consumer.poll(timeout_ms=100).values():
                    records += [answer_of(r.topic, r.partition, r.offset, r.timestamp, r.key, r.value, r.headers) for r in batch]
            return {"records": records}
        finally:
            consumer.close()

    def member(self, c):
        consumer = self.kafka.KafkaConsumer(
            c["topic"], bootstrap_servers=c["bootstrap"], group_id=c["group"], enable_auto_commit=False,
            auto_offset_reset="earliest", heartbeat_interval_ms=200)

        def poll():
            batches = consumer.poll(timeout_ms=100)
            return [answer_of(r.topic, r.partition, r.offset, r.timestamp, r.key, r.value, r.headers)
                    for batch in batches.values() for r in batch]

        return poll, lambda: [p.partition for p in consumer.assignment()], consumer.commit, consumer.close


class Confluent:
    """confluent-kafka, which is librdkafka"""

    def __init__(self):
        import confluent_kafka
        self.kafka = confluent_kafka

    def produce(self, c):
        producer = self.kafka.Producer({
            "bootstrap.servers": c["bootstrap"], "acks": c["acks"], "linger.ms": 50,
            "compression.type": c["compression"], "enable.idempotence": c["idempotent"]})
        errors, told = [], []

        def on_delivery(error, _message):
            told.append(error)
            if error is not None:
                errors.append(str(error))

        for r in c["records"]:
            producer.produce(c["topic"], partition=r["partition"], key=b(r["key"]), value=b(r["value"]),
                             timestamp=r["timestamp"], headers=[(n, b(d)) for n, d in r["headers"]], on_delivery=on_delivery)
        producer.flush(TIMEOUT_S)
        if errors or len(told) != len(c["records"]):
            raise RuntimeError(f"{len(told)} of {len(c['records'])} delivered; {errors}")

    def read(self, c):
        consumer = self.kafka.Consumer({
            "bootstrap.servers": c["bootstrap"], "group.id": "unused", "isolation.level": c["isolation"],
            "enable.auto.commit": False, "enable.partition.eof": True, "auto.offset.reset": "error"})
        try:
            known = consumer.list_topics(timeout=TIMEOUT_S).topics
            parts = [self.kafka.TopicPartition(t, p, self.kafka.OFFSET_BEGINNING)
                     for t in c["topics"] for p in sorted(known[t].partitions)]
            consumer.assign(parts)
            left, records, deadline = len(parts), [], time.time() + TIMEOUT_S
            while left > 0:
                if time.time() > deadline:
                    raise TimeoutError(f"{left} partitions are not at their ends, {len(records)} records")
                for m in consumer.consume(500, 0.1):
                    if m.error() is None:
                        records.append(answer_of(m.topic(), m.partition(), m.offset(), m.timestamp()[1] if m.timestamp()[0] else -1,
                                                 m.key(), m.value(), m.headers()))
                    elif m.error().code() == self.kafka.KafkaError._PARTITION_EOF:
                        left -= 1
                    else:
                        raise RuntimeError(str(m.error()))
            return {"records": records}
        finally:
            consumer.close()

    def member(self, c):
        consumer = self.kafka.Consumer({
            "bootstrap.servers": c["bootstrap"], "group.id": c["group"], "enable.auto.commit": False,
            "auto.offset.reset": "earliest", "heartbeat.interval.ms": 200})
        consumer.subscribe([c["topic"]])

        def poll():
            found = []
            for m in consumer.consume(500, 0.1):
                if m.error() is not None:
                    raise RuntimeError(str(m.error()))
                found.append(answer_of(m.topic(), m.partition(), m.offset(), m.timestamp()[1], m.key(), m.value(), m.headers()))
            return found

        def commit():
            consumer.commit(asynchronous=False)

        return poll, lambda: [p.partition for p in consumer.assignment()], commit, consumer.close


class Member:
    """Polls in a thread of its own until it is told to leave; everything is done by that thread."""

    def __init__(self, parts):
        self.poll, self.owned, self.commit, self.close = parts
        self.partitions, self.records, self.failure, self.leaving = [], [], None, False
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        try:
            while not self.leaving:
                self.records += self.poll()
                self.partitions = self.owned()
            if self.partitions and self.records:
                self.commit()
        except BaseException as e:  # told by the next command
            self.failure = e
        finally:
            self.close()

    def leave(self):
        self.leaving = True
        self.thread.join(TIMEOUT_S)
        if self.thread.is_alive():
            raise TimeoutError("the member did not leave")
        self.check()

    def check(self):
        if self.failure is not None:
            raise self.failure


def run(client, members, c):
    if c["cmd"] == "produce":
        return client.produce(c) or {}
    if c["cmd"] == "read":
        return client.read(c)
    if c["cmd"] == "join":
        members[c["member"]] = Member(client.member(c))
        return {}
    if c["cmd"] == "owned":
        member = members[c["member"]]
        member.check()
        return {"partitions": sorted(member.partitions), "records": list(member.records)}
    if c["cmd"] == "leave":
        member = members.pop(c["member"])
        member.leave()
        return {"records": member.records}
    raise ValueError("no such command: " + c["cmd"])


def main():
    client = {"kafka-python": Python, "confluent-kafka": Confluent}[sys.argv[1]]()
    members = {}
    for line in sys.stdin:
        try:
            answer = {**run(client, members, json.loads(line)), "ok": True}
        except Exception as e:
            answer = {"ok": False, "error": type(e).__name__, "message": str(e)}
        print(json.dumps(answer), flush=True)


main()
