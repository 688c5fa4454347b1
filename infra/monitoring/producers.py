"""Producers that keep a log of what they sent, groups that keep one of what they committed, and the lag in seconds that follows from both."""

import bisect
import sys
import threading
import time

from stand import ROOT

sys.path.insert(0, str(ROOT / ".treble/python"))
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

BATCH = 0.05  # seconds between two bursts of a producer
PATIENCE = 20


def now():
    return time.time()


class Log:
    """One partition of one group: what can be read of it since when, and where the group was when. Times are Unix seconds."""

    def __init__(self):
        self.lock = threading.Lock()
        self.offsets, self.sent, self.readable = [], [], []
        self.moves, self.starts = [], [(0.0, 0)]

    def wrote(self, offset, sent, readable):
        """A record that is readable since `readable`: the call after which it was committed had returned then."""
        with self.lock:
            self.offsets.append(offset)
            self.sent.append(sent)
            self.readable.append(readable)

    def committed(self, offset):
        with self.lock:
            self.moves.append((now(), offset))

    def begins_at(self, offset):
        with self.lock:
            self.starts.append((now(), offset))

    def seconds(self, at):
        """The age, at `at`, of the first record that the group could read and has not read; 0 where there is none, None where nobody
        can know: the group has no position, or what stood there is deleted.
        """
        with self.lock:
            moved = bisect.bisect_right(self.moves, (at, float("inf")))
            if not moved:
                return None
            position = self.moves[moved - 1][1]
            start = self.starts[bisect.bisect_right(self.starts, (at, float("inf"))) - 1][1]
            if position < start:
                return None
            place = bisect.bisect_left(self.offsets, position)
            if place == len(self.offsets) or self.readable[place] > at:
                return 0.0
            return max(0.0, at - self.sent[place])


class Case:
    """A topic of one partition, a producer of `rate` records a second, and a group that follows `behind` seconds later, by jumps."""

    name, transactional = "plain", False

    def __init__(self, servers, rate, seconds):
        self.servers, self.rate, self.length = servers, rate, seconds
        self.topic = self.group = f"compare.{self.name}"
        self.log, self.fault = Log(), None
        admin = AdminClient({"bootstrap.servers": servers, "log_level": 2})
        topic = NewTopic(self.topic, num_partitions=1, replication_factor=1, config={"retention.ms": "3600000"})
        for made in admin.create_topics([topic]).values():
            made.result(PATIENCE)
        settings = {"bootstrap.servers": servers, "linger.ms": 0, "log_level": 2}
        if self.transactional:
            settings["transactional.id"] = self.topic
        self.producer = Producer(settings)
        if self.transactional:
            self.producer.init_transactions(PATIENCE)
        self.reader = Consumer({"bootstrap.servers": servers, "group.id": self.group, "enable.auto.commit": False, "log_level": 2})
        self.threads = [threading.Thread(target=self.guard, args=(work,), daemon=True) for work in (self.produce, self.follow)]

    def start(self):
        self.began = now()
        self.commit(0)
        for thread in self.threads:
            thread.start()

    def guard(self, work):
        try:
            work()
        except KafkaException as fault:
            self.fault = fault

    def share(self):
        """How much of the run is over, 0 to 1; a half of the last tenth is left to look at how things end."""
        return (now() - self.began) / self.length

    def burst(self, count):
        """Sends `count` records and waits for them: offset and send time of each."""
        told = []

        def delivered(error, message):
            if error is None:
                told.append((message.offset(), message.timestamp()[1] / 1e3))

        for _ in range(count):
            self.producer.produce(self.topic, b"record", timestamp=int(now() * 1e3), on_delivery=delivered)
        self.producer.flush(PATIENCE)
        return sorted(told)

    def bursts(self):
        """Bursts at the rate, until the last tenth."""
        sent = 0
        while self.share() < 0.9:
            due = int((now() - self.began) * self.rate) - sent
            if due > 0:
                yield due
                sent += due
            time.sleep(BATCH)

    def produce(self):
        for due in self.bursts():
            for offset, sent in self.burst(due):
                self.log.wrote(offset, sent, sent)

    def commit(self, offset):
        self.reader.commit(offsets=[TopicPartition(self.topic, 0, offset)], asynchronous=False)
        self.log.committed(offset)

    def behind(self):
        """Two seconds, and ten in the middle of the run."""
        return 10.0 if 0.4 < self.share() < 0.6 else 2.0

    def follow(self):
        """Commits what was sent long enough ago; all that can be read, once nothing more is sent."""
        position = 0
        while self.share() < 1:
            until = now() - (0 if self.share() > 0.92 else self.behind())
            with self.log.lock:
                place = bisect.bisect_right(self.log.sent, until)
                wanted = self.log.offsets[place - 1] + 1 if place else 0
            if wanted > position:
                position = wanted
                self.commit(position)
            time.sleep(0.7)


class Transactions(Case):
    """Transactions of a burst each, every third aborted; one stays open for a tenth of the run; the last ones are aborted: a tail without records."""

    name, transactional = "transactions", True

    def produce(self):
        for number, due in enumerate(self.bursts()):
            self.producer.begin_transaction()
            told = self.burst(due)
            while 0.65 < self.share() < 0.75:
                time.sleep(BATCH)
            if number % 3 == 2 or self.share() > 0.87:
                self.producer.abort_transaction(PATIENCE)
                continue
            self.producer.commit_transaction(PATIENCE)
            readable = now()
            for offset, sent in told:
                self.log.wrote(offset, sent, readable)


class Retention(Case):
    """Twice what the group has not read is deleted; it commits nothing for a while, then goes on where the log begins."""

    name = "retention"

    def follow(self):
        admin = AdminClient({"bootstrap.servers": self.servers, "log_level": 2})
        position, deletions = 0, [0.3, 0.65]
        while self.share() < 1:
            with self.log.lock:
                place = bisect.bisect_right(self.log.sent, now() - 2)
                wanted = self.log.offsets[place - 1] + 1 if place else 0
            if deletions and self.share() > deletions[0]:
                deletions.pop(0)
                for begins in admin.delete_records([TopicPartition(self.topic, 0, wanted)]).values():
                    begins.result(PATIENCE)
                self.log.begins_at(wanted)
                time.sleep(self.length / 12)
            elif wanted > position:
                position = wanted
                self.commit(position)
            time.sleep(0.7)


class Rebalances(Case):
    """Members that really read; a second one comes and goes, and takes the partition with it or not."""

    name = "rebalances"

    def follow(self):
        members = [self.member()]
        turns = [0.25, 0.45, 0.65, 0.8]
        while self.share() < 1:
            if turns and self.share() > turns[0]:
                turns.pop(0)
                if len(members) == 2:
                    members.pop(0).close()
                else:
                    members.append(self.member())
            for member in members:
                self.read(member)
            time.sleep(0.3)
        for member in members:
            member.close()

    def member(self):
        settings = {"bootstrap.servers": self.servers, "group.id": self.group, "enable.auto.commit": False, "log_level": 2}
        member = Consumer(settings | {"auto.offset.reset": "earliest", "session.timeout.ms": 6000, "heartbeat.interval.ms": 500})
        member.subscribe([self.topic])
        return member

    def read(self, member):
        records = [record for record in member.consume(int(self.rate), timeout=0.1) if not record.error()]
        if not records:
            return
        # Who lost the partition meanwhile is refused, and has committed nothing.
        try:
            member.commit(offsets=[TopicPartition(self.topic, 0, records[-1].offset() + 1)], asynchronous=False)
            self.log.committed(records[-1].offset() + 1)
        except KafkaException:
            pass


CASES = (Case, Transactions, Retention, Rebalances)
