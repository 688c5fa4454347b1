"""A model of a group and of the autoscaler that the chart asks for: what replicas do when a partition is stuck, load comes and goes, nobody looks.

The autoscaler is Kubernetes' own algorithm as its documentation has it (the largest of all metrics; a tolerance of a tenth; stabilization windows;
policies; no way down while a metric is missing), fed with the numbers of the rendered ScaledObject. The group is a fluid: work comes to partitions,
a member does so much of it a second, and a member that was taken away leaves its partitions idle until its session ends. Not KEDA itself.
"""

import math
import re
from collections import deque
from dataclasses import dataclass, field

STEP = 30
SESSION = 30
# A metric within a tenth of its target changes nothing.
TOLERANCE = 0.1
# What a member can do, as a multiple of the busy threads beyond which none is taken away.
ROOM = 1 / 0.7
BUSY = re.compile(r"ceil\((\d+) / clamp\(floor\(\1 \* ([\d.]+) / clamp_min\(.*, 0\.001\)\), 1, \1\)\)")


@dataclass
class Partition:
    """What waits in it, as (when it came, how much), and when it last moved."""

    waiting: deque = field(default_factory=deque)
    moved: int = 0
    stuck: bool = False

    def work(self, now, most):
        """Does up to `most`; how much it was."""
        done = 0.0
        while self.waiting and done < most and not self.stuck:
            came, amount = self.waiting.popleft()
            part = min(amount, most - done)
            done += part
            if part < amount:
                self.waiting.appendleft((came, amount - part))
        if done:
            self.moved = now
        return done

    def age(self, now):
        return now - self.waiting[0][0] if self.waiting else 0


@dataclass
class Autoscaler:
    """The horizontal pod autoscaler of a ScaledObject."""

    spec: dict
    replicas: int
    told: deque = field(default_factory=deque)
    changes: list = field(default_factory=list)

    def wanted(self, lag, busy):
        """What the metrics ask for now; a metric that is missing keeps what is there."""
        target = {trigger["name"]: float(trigger["metadata"]["threshold"]) for trigger in self.spec["triggers"]}
        partitions, limit = busy_numbers(self.spec)
        asked = [self.replicas] if lag is None or busy is None else []
        if lag is not None:
            ratio = lag / target["lag"]
            asked.append(self.replicas if abs(ratio - 1) <= TOLERANCE else math.ceil(ratio * self.replicas))
        if busy is not None:
            share = min(max(partitions * limit // max(busy, 0.001), 1), partitions)
            needed = math.ceil(partitions / share) / target["busy"]
            asked.append(self.replicas if abs(needed / self.replicas - 1) <= TOLERANCE else math.ceil(needed))
        return min(max(*asked, self.spec["minReplicaCount"]), self.spec["maxReplicaCount"])

    def step(self, now, lag, busy):
        behavior = self.spec["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]
        up, down = behavior["scaleUp"], behavior["scaleDown"]
        self.told.append((now, self.wanted(lag, busy)))
        within = lambda seconds: [wanted for at, wanted in self.told if at > now - seconds]
        steady = min(max(self.replicas, min(within(up["stabilizationWindowSeconds"]))), max(within(down["stabilizationWindowSeconds"])))
        # The window of a young autoscaler is not full: it holds what it has.
        if now < max(up["stabilizationWindowSeconds"], down["stabilizationWindowSeconds"]):
            steady = max(steady, self.replicas) if now >= up["stabilizationWindowSeconds"] else self.replicas
        recent = lambda seconds: sum(by for at, by in self.changes if at > now - seconds)
        (policy,) = up["policies"]
        began = self.replicas - max(0, recent(policy["periodSeconds"]))
        most = math.ceil(began * (1 + policy["value"] / 100))
        (policy,) = down["policies"]
        least = self.replicas - max(0, policy["value"] + min(0, recent(policy["periodSeconds"])))
        target = min(max(steady, least), max(most, self.replicas))
        if target != self.replicas:
            self.changes.append((now, target - self.replicas))
            self.replicas = target


def busy_numbers(spec):
    """Partitions, and busy threads a member, as the second query has them."""
    (query,) = [trigger["metadata"]["query"] for trigger in spec["triggers"] if trigger["name"] == "busy"]
    count, limit = BUSY.fullmatch(query).groups()
    return int(count), float(limit)


def run(spec, counted, hours, arriving, stuck=lambda now, place: False, watched=lambda now: True, replicas=None):
    """Replicas and the age of what waits, step by step. `counted`: for how long the record counts a partition that stands still, in seconds.
    `arriving(now)`: work for all partitions, as a share of what all members that may be can do."""
    count, limit = busy_numbers(spec)
    partitions, capacity = [Partition() for _ in range(count)], limit * ROOM
    each = capacity * spec["maxReplicaCount"] / count
    scaler, history = Autoscaler(spec, replicas or spec["minReplicaCount"]), []
    idle_until, last = {}, scaler.replicas
    for now in range(0, int(hours * 3600), STEP):
        if scaler.replicas < last:
            idle_until |= {place: now + SESSION for place in range(len(partitions)) if place % last >= scaler.replicas}
        last, busy = scaler.replicas, 0.0
        for place, partition in enumerate(partitions):
            partition.stuck = stuck(now, place)
            partition.waiting.append((now, arriving(now) * each * STEP))
            mates = len(range(place % last, len(partitions), last))
            free = idle_until.get(place, 0) <= now
            busy += partition.work(now, capacity * STEP / mates if free else 0.0) / STEP
        ages = [partition.age(now) for partition in partitions if now - partition.moved < counted]
        seen = watched(now)
        scaler.step(now, max(ages, default=0) if seen else None, busy if seen else None)
        history.append((now, scaler.replicas, max(partition.age(now) for partition in partitions)))
    return history


def scenarios(spec, counted):
    """Name → what is wrong with how replicas went, where something is."""
    least, most = spec["minReplicaCount"], spec["maxReplicaCount"]
    calm = 0.5 * least / most
    quiet = lambda now: calm
    rush = lambda now: 0.6 if 3600 <= now < 3 * 3600 else calm
    counts = lambda history, since=0: [replicas for now, replicas, _ in history if now >= since]
    held = run(spec, counted, 3, quiet, stuck=lambda now, place: place == 0 and now >= 1800)
    yield "a stuck partition", max(counts(held)) == least and held[-1][2] > 3600
    dead = run(spec, counted, 3, quiet, stuck=lambda now, place: now >= 1800)
    yield "a group that stands still", max(counts(dead)) == least
    rushed = run(spec, counted, 8, rush)
    late = [age for now, _, age in rushed if 2.5 * 3600 <= now < 3 * 3600]
    yield "a rush for two hours is met, and nothing swings", max(late) <= 60 and counts(rushed, 1.5 * 3600)[: int(1.5 * 3600 / STEP)] == [most] * int(1.5 * 3600 / STEP)
    yield "and after it members go, one at a time", counts(rushed)[-1] == least and all(
        after >= before - 1 for before, after in zip(counts(rushed), counts(rushed)[1:]))
    yield "and never more than there are partitions", max(counts(rushed)) <= most
    blind = run(spec, counted, 4, rush, watched=lambda now: now < 2 * 3600)
    yield "nobody looks: nothing changes", len(set(counts(blind, 2 * 3600))) == 1 and counts(blind)[-1] > least


def autoscaler_faults(releases, counted):
    scaled = [(name, each) for name, release in releases.items() for each in release.of("ScaledObject")]
    for name, each in scaled:
        for what, sound in scenarios(each["spec"], counted):
            if not sound:
                yield f"{name}: {each['metadata']['name']}: {what}: replicas did otherwise"
    if not scaled:
        yield "nothing is scaled"
        return
    # What it is for, it finds: a record that counts partitions that stand still, one that counts them longer than the autoscaler waits.
    spec = scaled[0][1]["spec"]
    for longer in (1 << 30, counted + 600):
        if all(sound for _, sound in scenarios(spec, longer)):
            yield f"a record that counts a partition {longer} s after it stopped is taken"
