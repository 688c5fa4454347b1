# produce.py
import os
from confluent_kafka import Producer

servers = os.environ.get("TREBLE_BOOTSTRAP_SERVERS", "127.0.0.1:9092")
producer = Producer({"bootstrap.servers": servers, "partitioner": "murmur2_random", "message.max.bytes": 4194304})
with open("song.mp3", "rb") as song:
    producer.produce("treble.audio.in", song.read(), key="python-song", headers={"content-type": "audio/mpeg"})
if producer.flush(30):
    raise SystemExit(f"{servers} did not take the clip within 30 s")
