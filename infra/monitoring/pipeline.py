"""The real pipeline for the rigs: a private Kafka, a process for each stage, the lag collector, and clips that flow through them."""

import io
import itertools
import re
import subprocess
import sys
import threading
import time
import wave
from contextlib import contextmanager
from os import environ, getpid
from urllib.request import Request, urlopen

from stand import ROOT, fetch, free_port

sys.path.insert(0, str(ROOT / ".treble/python"))
from confluent_kafka import Consumer, Producer

STAGES = ("decode", "upscale", "encode", "analyse")
OTHERS = ("lag", "sql", "canary")
INPUT = "treble.audio.in"


def clip(seconds):
    """The beginning of the sample prompt, as a WAV file of its own."""
    with wave.open(str(ROOT / ".treble/samples/prompt.wav")) as source:
        form, frames = source.getparams(), source.readframes(int(seconds * source.getframerate()))
    out = io.BytesIO()
    with wave.open(out, "wb") as target:
        target.setparams(form)
        target.writeframes(frames)
    return out.getvalue()


@contextmanager
def kafka(folder, *options):
    """A private Kafka and registry under `folder`, as `options` of infra/kafka/up want it; what clients must have in their environment.
    Afterwards all of it is gone.
    """
    infra, own = ROOT / "infra/kafka", folder / "kafka"
    # Gone with this process, however it ends. What watches for that keeps its output open: a file, no pipe.
    with open(folder / "kafka.log", "w") as log:
        started = [infra / "up", "--dir", own, "--ports", "auto", "--owner", str(getpid()), *options]
        subprocess.run(started, check=True, stdout=log, stderr=log)
    try:
        lines = [line.removeprefix("export ") for line in (own / "env").read_text().splitlines() if "=" in line and not line.startswith("#")]
        yield {name: value.strip("'\"") for name, value in (line.split("=", 1) for line in lines)}
    finally:
        subprocess.run([infra / "down", "--dir", own, "--now", "--purge"], capture_output=True)


class Pipeline:
    """Starts with `with`; on leaving, all of it is gone."""

    def __init__(self, folder, binary, processes):
        self.folder, self.binary, self.processes = folder, binary, processes
        self.ports = {name: free_port() for name in (*STAGES, *OTHERS)}
        self.door = free_port()
        self.gpu()

    def __enter__(self):
        self.broker = kafka(self.folder)
        self.environment = self.broker.__enter__()
        self.servers = self.environment["TREBLE_BOOTSTRAP_SERVERS"]
        subprocess.run([self.binary, "topics", "create"], check=True, capture_output=True, env=self.spoken())
        for stage in STAGES:
            self.start(stage)
        lake = ["--set", f"lake.url={self.folder}/lake"]
        self.serve("lag", ["--interval", "1"])
        self.serve("serve", ["--anonymous", "--http", f"127.0.0.1:{self.door}", "--flight", "127.0.0.1:0", "--postgres", "127.0.0.1:0", *lake], "sql")
        self.serve("canary", ["--interval", "2"])
        for name in self.ports:
            self.until_it_answers(name)
        return self

    def __exit__(self, *_):
        for name in (*STAGES, *OTHERS):
            if name in self.processes.running:
                self.processes.kill(name)
        self.broker.__exit__(None, None, None)

    def spoken(self):
        return environ | self.environment | {"TREBLE_LOG_FORMAT": "json"}

    def serve(self, verb, arguments, component=None):
        """Starts what is no stage; its component is called as its verb where nothing else is said."""
        component = component or verb
        command = [self.binary, verb, "--listen", f"127.0.0.1:{self.ports[component]}", *arguments]
        self.processes.start(component, command, env=self.spoken(), cwd=ROOT)

    def start(self, stage):
        command = [self.binary, "run", "--stages", stage, "--instance-id", f"{stage}-1", "--listen", f"127.0.0.1:{self.ports[stage]}"]
        # The model with a simulated GPU beside it, and a lake that is written as often as scaled alerts want.
        settings = {
            "analyse": [f"lake.url={self.folder}/lake", "lake.flush_interval_ms=1000"],
            "upscale": ["upscale.mode=ai", f"gpu.readings_file={self.folder}/gpu.toml"],
        }.get(stage, ["upscale.mode=ai"])
        for setting in settings:
            command += ["--set", setting]
        self.processes.start(stage, command, env=self.spoken(), cwd=ROOT)

    def gpu(self, **changed):
        """What the simulated GPU says from now on: gpu.toml with some keys `changed`, replaced in one step."""
        text = (ROOT / "infra/monitoring/gpu.toml").read_text()
        for key, value in changed.items():
            text = re.sub(f"(?m)^{key} = .*$", f"{key} = {value}", text)
        new = self.folder / "gpu.new"
        new.write_text(text)
        new.rename(self.folder / "gpu.toml")

    def until_it_answers(self, name):
        for _ in range(600):
            try:
                return fetch(f"http://127.0.0.1:{self.ports[name]}/readyz")
            except OSError:
                if self.processes.running[name].poll() is not None:
                    break
                time.sleep(0.2)
        raise SystemExit(f"FAILED  {name} is not ready; see {name}.log")

    def targets(self):
        """For Prometheus: ports and labels."""
        return [(port, {"component": name}) for name, port in self.ports.items()]


class Load:
    """Clips sent again and again, some of them broken, and questions in SQL, until it is stopped."""

    def __init__(self, pipeline, every, broken_every):
        self.producer = Producer({"bootstrap.servers": pipeline.servers, "partitioner": "murmur2_random", "linger.ms": 5, "log_level": 2})
        self.good, self.every, self.broken_every = clip(2.0), every, broken_every
        self.door = f"http://127.0.0.1:{pipeline.door}/v1/sql"
        self.stopped = threading.Event()
        self.threads = [threading.Thread(target=target, daemon=True) for target in (self.flow, self.wonder)]
        for thread in self.threads:
            thread.start()

    def flow(self):
        for number in itertools.count():
            broken = number % self.broken_every == self.broken_every - 1
            self.send(f"clip-{number}", broken)
            if self.stopped.wait(self.every):
                return

    def send(self, name, broken=False):
        """One clip; a broken one says that it is FLAC and is not."""
        value, kind = (b"no audio at all" * 20, "audio/flac") if broken else (self.good, "audio/wav")
        self.producer.produce(INPUT, value, key=name, headers={"content-type": kind})
        self.producer.poll(0)

    def wonder(self):
        while not self.stopped.wait(self.every):
            self.ask("SELECT status, count(*) FROM streams GROUP BY status")

    def ask(self, statement):
        """One question over HTTP; that it may be refused or late is what is measured."""
        try:
            urlopen(Request(self.door, data=statement.encode()), timeout=5).read()
        except OSError:
            pass

    def stop(self):
        self.stopped.set()
        for thread in self.threads:
            thread.join()
        self.producer.flush(10)


class Stranger:
    """A consumer group of somebody else that reads the input, and then commits no more."""

    def __init__(self, pipeline):
        self.settings = {"bootstrap.servers": pipeline.servers, "group.id": "stranger", "auto.offset.reset": "earliest", "enable.auto.commit": False, "log_level": 2}

    def read(self, to_the_end):
        """Reads one record or, once nothing more is sent, all of them, and commits."""
        consumer = Consumer(self.settings)
        consumer.subscribe([INPUT])
        # A new group has its partitions after a moment.
        patience = time.monotonic() + 30
        while time.monotonic() < patience:
            if consumer.poll(0.2) is None:
                continue
            if not to_the_end:
                break
            patience = time.monotonic() + 2
        consumer.commit(asynchronous=False)
        consumer.close()


def open_transaction(pipeline):
    """A transaction on the input that its producer leaves open: what is written after it is hidden."""
    producer = Producer({"bootstrap.servers": pipeline.servers, "transactional.id": "forgetful", "partitioner": "murmur2_random", "log_level": 2})
    producer.init_transactions(20)
    producer.begin_transaction()
    producer.produce(INPUT, clip(0.5), key="half-done", headers={"content-type": "audio/wav"})
    producer.flush(10)
    return producer
