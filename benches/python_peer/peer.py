"""The job of `treble run` as one would write it in Python: the same topics, the same model, one transaction a clip.

Raw clips from `PREFIX.audio.in`, decoded by soundfile, upscaled by the model's numpy reference around ONNX Runtime, encoded to FLAC by
soundfile, and sent to `PREFIX.audio.out` within a transaction that commits the offset. Prints the seconds from the first clip to the last commit.
"""

import argparse
import io
import math
import time
from pathlib import Path

import numpy as np
import scipy.signal
import soundfile
from confluent_kafka import Consumer, Producer, TopicPartition
from envelope.constants import cutoff_bin
from envelope.runner import load_onnx, upscale

OUTPUT_RATE_HZ = 48_000
CHUNK_BYTES = 256 * 1024


def resample(signal: np.ndarray, rate_hz: int) -> np.ndarray:
    """`[T]` at `rate_hz` to 48 kHz."""
    divisor = math.gcd(OUTPUT_RATE_HZ, rate_hz)
    return scipy.signal.resample_poly(signal, OUTPUT_RATE_HZ // divisor, rate_hz // divisor)


def work(value: bytes, predictor, layout) -> bytes:
    """A clip's file to the upscaled file."""
    signal, rate_hz = soundfile.read(io.BytesIO(value), dtype="float64")
    filled = upscale(resample(signal, rate_hz), cutoff_bin(rate_hz / 2), predictor, layout)
    out = io.BytesIO()
    soundfile.write(out, np.clip(filled, -1, 1), OUTPUT_RATE_HZ, format="FLAC", subtype="PCM_24")
    return out.getvalue()


def main() -> None:
    """Until so many clips are committed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bootstrap", required=True)
    parser.add_argument("--prefix", required=True)
    parser.add_argument("--clips", type=int, required=True)
    parser.add_argument("--model", type=Path, required=True)
    flags = parser.parse_args()
    predictor, layout = load_onnx(flags.model)
    consumer = Consumer(
        {
            "bootstrap.servers": flags.bootstrap,
            "group.id": f"{flags.prefix}.peer",
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            "fetch.message.max.bytes": 4 << 20,
        }
    )
    producer = Producer(
        {"bootstrap.servers": flags.bootstrap, "transactional.id": f"{flags.prefix}.peer", "message.max.bytes": 4 << 20}
    )
    producer.init_transactions()
    consumer.subscribe([f"{flags.prefix}.audio.in"])
    began, done = None, 0
    while done < flags.clips:
        message = consumer.poll(1.0)
        if message is None or message.error():
            continue
        began = began or time.monotonic()
        upscaled = work(message.value(), predictor, layout)
        producer.begin_transaction()
        for start in range(0, len(upscaled), CHUNK_BYTES):
            producer.produce(f"{flags.prefix}.audio.out", upscaled[start : start + CHUNK_BYTES], message.key())
        position = TopicPartition(message.topic(), message.partition(), message.offset() + 1)
        producer.send_offsets_to_transaction([position], consumer.consumer_group_metadata())
        producer.commit_transaction()
        done += 1
    print(time.monotonic() - began)
    consumer.close()


if __name__ == "__main__":
    main()
