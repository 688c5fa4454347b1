#!/usr/bin/env python3
"""Asks the local stack questions that only a working one can answer, without starting a JVM for it.

probe.py ports PREFERRED...        one free loopback port per PREFERRED, in order; 0 has no preference
probe.py cluster-id                a new random cluster id
probe.py broker HOST:PORT N        0 if that broker knows N live brokers (Kafka's DescribeCluster)
probe.py member HOST:PORT ID       0 if that broker knows broker ID as live
probe.py registry URL              0 if the registry is ready and lists its subjects
probe.py http URL                  0 if it answers with a status of success

Exit code 1 with the reason on standard error when the answer is no.
"""

import base64
import json
import random
import socket
import struct
import sys
import urllib.request
import uuid

TIMEOUT_S = 2.0
# Below the ephemeral range, so that no outgoing connection takes a node's port while it is restarted.
FREE_PORTS = range(15000, 32000)
DESCRIBE_CLUSTER = 60


def is_free(port):
    """Whether a server could listen on the loopback port now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as Java does: TIME_WAIT is no obstacle
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def choose_ports(preferred):
    """Each preferred port where it is free, else another free one; no port twice."""
    chosen = []
    for wanted in preferred:
        candidates = ([wanted] if wanted else []) + random.sample(FREE_PORTS, 200)
        chosen.append(next(p for p in candidates if p not in chosen and is_free(p)))
    return chosen


def receive(connection, size):
    """Exactly `size` bytes."""
    data = b""
    while len(data) < size:
        part = connection.recv(size - len(data))
        if not part:
            raise OSError("the broker closed the connection")
        data += part
    return data


def new_cluster_id():
    """As Kafka's Uuid.randomUuid: never starts with a dash, which would read as an option."""
    while True:
        text = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        if not text.startswith("-"):
            return text


def skip_compact_string(body, at):
    """Where the next field begins; the length is stored plus one, 0 is null, all here are under 127 bytes."""
    return at + 1 + max(body[at] - 1, 0)


def live_brokers(address):
    """The ids of the cluster's unfenced brokers: DescribeCluster version 0 (KIP-700)."""
    host, port = address.rsplit(":", 1)
    client = b"treble-probe"
    request = struct.pack(">hhih", DESCRIBE_CLUSTER, 0, 1, len(client)) + client + b"\0" + b"\0\0"
    with socket.create_connection((host, int(port)), TIMEOUT_S) as connection:
        connection.settimeout(TIMEOUT_S)
        connection.sendall(struct.pack(">i", len(request)) + request)
        body = receive(connection, struct.unpack(">i", receive(connection, 4))[0])
    at = 4 + 1 + 4  # correlation id, header tags, throttle time
    error = struct.unpack_from(">h", body, at)[0]
    if error:
        raise OSError(f"the broker answered with error code {error}")
    at = skip_compact_string(body, at + 2)  # error message
    at = skip_compact_string(body, at) + 4  # cluster id, controller id
    ids = []
    count, at = body[at] - 1, at + 1
    for _ in range(count):
        ids.append(struct.unpack_from(">i", body, at)[0])
        at = skip_compact_string(body, at + 4) + 4  # host, port
        at = skip_compact_string(body, at) + 1  # rack, tags
    return ids


def ask_broker(address, expected):
    found = live_brokers(address)
    if len(found) != expected:
        raise OSError(f"{len(found)} of {expected} brokers are up")


def ask_member(address, broker):
    found = live_brokers(address)
    if broker not in found:
        raise OSError(f"broker {broker} has not joined; there are {found}")


def get(url):
    with urllib.request.urlopen(url, timeout=TIMEOUT_S) as answer:
        return answer.read()


def ask_registry(url):
    root = url.split("/apis/")[0]
    get(f"{root}/health/ready")
    if not isinstance(json.loads(get(f"{url}/subjects")), list):
        raise OSError("the registry does not list its subjects")


def main(arguments):
    match arguments:
        case ["ports", *preferred] if preferred:
            print(*choose_ports([int(p) for p in preferred]))
        case ["cluster-id"]:
            print(new_cluster_id())
        case ["broker", address, expected]:
            ask_broker(address, int(expected))
        case ["member", address, broker]:
            ask_member(address, int(broker))
        case ["registry", url]:
            ask_registry(url)
        case ["http", url]:
            get(url)
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except (OSError, ValueError, IndexError, struct.error) as fault:
        sys.exit(f"{' '.join(sys.argv[1:3])}: {fault}")
