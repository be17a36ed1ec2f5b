"""Clients of the control API, well-behaved and otherwise, in a process of their own.

`python -m tests.bench.clients SOCKET SECONDS RECONNECTS` asks for the status all the time and, if
RECONNECTS is not 0, has so many event subscribers come and go meanwhile, with malformed requests
and connections that never say anything among them. It prints, as JSON, how long each answer took
in seconds, and how many reconnects there were.
"""

import asyncio
import json
import sys
import time
from contextlib import suppress

PAUSE_S = 0.01  # seconds between two questions of the one who measures
AT_ONCE = 40  # subscribers that come and go side by side; the router takes 64
NONSENSE = (b"\x16\x03\x01\x02\x00\x01", b"GET /v1/status HTTP/9.9\r\n\r\n", b"POST / HTTP/1.1\r\n")
ANSWER_LIMIT = 1 << 20  # bytes


async def ask(path: str, target: str, until: bytes = b"") -> bytes:
    """Return the answer to one GET on a new connection, whole or as far as `until`."""
    reader, writer = await asyncio.open_unix_connection(path, limit=ANSWER_LIMIT)
    try:
        writer.write(f"GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        return await (reader.readuntil(until) if until else reader.read())
    finally:
        writer.close()


async def measure(path: str, until: "asyncio.Event") -> list[float]:
    """Ask for the status until told to stop; return how long each answer took."""
    took = []
    while not until.is_set():
        began = time.perf_counter()
        answer = await ask(path, "/v1/status")
        assert answer.startswith(b"HTTP/1.1 200"), answer[:100]
        took.append(time.perf_counter() - began)
        await asyncio.sleep(PAUSE_S)
    return took


async def reconnect(path: str, counter: list[int], wanted: int) -> None:
    """Subscribe, see the snapshot, go away, and misbehave in between, until all have."""
    while counter[0] < wanted:
        counter[0] += 1
        answer = await ask(path, "/v1/events", b"event: snapshot\n")
        assert answer.startswith(b"HTTP/1.1 200"), answer[:100]
        with suppress(ConnectionError):
            _, writer = await asyncio.open_unix_connection(path)
            writer.write(NONSENSE[counter[0] % len(NONSENSE)])  # then silence, half a request
            await asyncio.sleep(0)
            writer.close()


async def run(path: str, seconds: float, reconnects: int) -> dict[str, object]:
    """Measure for `seconds`, and as long as the others need."""
    enough = asyncio.Event()
    counter = [0]
    measuring = asyncio.create_task(measure(path, enough))
    async with asyncio.TaskGroup() as others:
        others.create_task(asyncio.sleep(seconds))
        for _ in range(AT_ONCE if reconnects else 0):
            others.create_task(reconnect(path, counter, reconnects))
    enough.set()
    return {"answers": await measuring, "reconnects": counter[0]}


if __name__ == "__main__":
    print(json.dumps(asyncio.run(run(sys.argv[1], float(sys.argv[2]), int(sys.argv[3])))))
