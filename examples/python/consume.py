# consume.py
import os
from confluent_kafka import Consumer
from treble.v1.chunk_pb2 import CHUNK_KIND_ABORT, CHUNK_KIND_END, AudioChunk

servers = os.environ.get("TREBLE_BOOTSTRAP_SERVERS", "127.0.0.1:9092")
consumer = Consumer({"bootstrap.servers": servers, "group.id": "listener", "auto.offset.reset": "earliest"})
consumer.subscribe(["treble.audio.out"])
chunk = AudioChunk()
with open("song.flac", "wb") as out:
    while chunk.kind not in (CHUNK_KIND_END, CHUNK_KIND_ABORT):
        record = consumer.poll(1.0)
        if record and not record.error() and record.key() == b"python-song":
            chunk = AudioChunk.FromString(record.value()[6:])  # behind the schema registry's 6 bytes
            out.write(chunk.data)
consumer.close()
