"""What one packet and one session cost: pure computing, no devices, through the public interface.

`python -m tests.bench.micro NAME` measures one thing and prints a number; every measurement gets
a process of its own, so that memory is what that one took.
"""

import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from os import sysconf
from pathlib import Path

from router.devices import Side, Verdict
from router.forwarder import Forwarder, ForwarderConfig
from router.nat.types import NatConfig
from router.routing import RoutingConfig
from router.wire import ppp
from router.wire.address import Endpoint, Network, parse_address
from router.wire.hdlc import Decoder, Encoder, Framing
from router.wire.tcp import Flag
from tests.lab.links import ONE_LINE, a_forwarder, raise_line

from .frames import fragment, tcp, udp
from .network import BenchError
from .report import Limit

__all__ = ["measure_limits"]

LAN_NETWORK = Network.parse("10.0.0.0/8")
LAN_ADDRESS = LAN_NETWORK.address + 1
WAN_ADDRESS = parse_address("203.0.113.2")
INSIDE = Endpoint(parse_address("10.1.0.1"), 10_000)
SERVER = Endpoint(parse_address("198.51.100.1"), 80)
DATAGRAM = udp(INSIDE, SERVER)
MTU = 1500  # bytes
SESSIONS = 100_000
SESSIONS_PER_ENDPOINT = 5  # 64,512 ports serve 100,000 sessions only if endpoints share remotes
ENDPOINTS_PER_HOST = 1000
FRAGMENTS = 200_000
FLOOD_INTERVAL = 1e-5  # seconds: none of the flood times out while it lasts
PACKETS = 20_000  # per repetition of a timing
REPETITIONS = 5
PACKETS_ON_LINE = 4096
BATCH = 16  # packets that wait for the line together
READ = 4096  # octets: what a tty's driver hands out at once, at most
AGREED = Framing(accm=0, compresses_protocol=True, compresses_address=True)  # by two modern ends
SEED = 1
TIMEOUT = 120.0  # seconds for one measurement; the longest takes about ten


def measure_limits() -> list[Limit]:
    """Measure everything and return the rows of the limits table."""
    values = {name: _in_process(name) for name in MEASUREMENTS}
    per_session = values["session_memory"] / SESSIONS
    return [
        _time("hit_udp", "known UDP session, per packet", values),
        _time("hit_tcp", "established TCP session, per packet", values),
        _time("slow_udp", "known UDP session, per packet, cache off", values),
        Limit(
            "new_sessions",
            "opening UDP sessions",
            values["new_sessions"],
            f"{values['new_sessions']:,.0f}/s",
        ),
        Limit(
            "session_memory",
            f"memory of {SESSIONS:,} UDP sessions",
            values["session_memory"],
            f"{values['session_memory'] / 2**20:,.0f} MiB, {per_session:,.0f} bytes each",
        ),
        Limit(
            "fragment_flood",
            f"memory of a flood of {FRAGMENTS:,} fragments from outside",
            values["fragment_flood"],
            f"{values['fragment_flood'] / 2**20:,.1f} MiB",
        ),
        _rate("hdlc_encode", f"framing packets of {MTU:,} bytes for a serial line", values),
        _rate("hdlc_decode", "finding them again in what has arrived", values),
    ]


def _time(name: str, title: str, values: dict[str, float]) -> Limit:
    return Limit(name, title, values[name], f"{values[name] / 1000:.2f} µs")


def _rate(name: str, title: str, values: dict[str, float]) -> Limit:
    return Limit(name, title, values[name], f"{values[name] / 1e6:,.0f} Mbit/s")


def _in_process(name: str) -> float:
    command = [sys.executable, "-m", __spec__.name, name]
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT, check=False)
    if done.returncode != 0:
        raise BenchError(f"measuring {name} failed: {done.stderr.strip()}")
    return float(done.stdout)


def _forwarder(*, fastpath: bool = True) -> Forwarder:
    routing = RoutingConfig(lan_address=LAN_ADDRESS, lan_network=LAN_NETWORK, lan_routes=())
    config = ForwarderConfig(routing, ONE_LINE, NatConfig(), fastpath=fastpath)
    forwarder = a_forwarder(config, now=0.0, seed=SEED)
    raise_line(forwarder, WAN_ADDRESS, now=0.0, mtu=MTU)
    return forwarder


def _hit(frame: bytes, openers: Iterable[tuple[Side, bytes]]) -> float:
    forwarder = _forwarder()
    _open(forwarder, openers)
    forward = forwarder.cache.forward
    return _nanoseconds(frame, lambda buffer, length: forward(Side.LAN, buffer, length, 1.0))


def _hit_udp() -> float:
    return _hit(DATAGRAM, [(Side.LAN, DATAGRAM)] * 2)


def _hit_tcp() -> float:
    outside = Endpoint(WAN_ADDRESS, INSIDE.port)  # the router preserves a free port
    ack = tcp(INSIDE, SERVER, acknowledgment=1, flags=Flag.ACK)
    handshake = [
        (Side.LAN, tcp(INSIDE, SERVER, acknowledgment=0, flags=Flag.SYN)),
        (Side.WAN, tcp(SERVER, outside, acknowledgment=1, flags=Flag.SYN | Flag.ACK)),
        (Side.LAN, ack),
    ]
    return _hit(ack, handshake)


def _slow_udp() -> float:
    forwarder = _forwarder(fastpath=False)
    return _nanoseconds(
        DATAGRAM, lambda buffer, length: forwarder.from_lan(buffer, length, now=1.0)
    )


def _nanoseconds(frame: bytes, forward: Callable[[bytearray, int], Verdict]) -> float:
    """Return the median time of `forward`, the frame's copy and a Python call deducted."""
    buffer, length = bytearray(len(frame)), len(frame)

    def repeat(call: Callable[[bytearray, int], Verdict]) -> int:
        start = time.perf_counter_ns()
        for _ in range(PACKETS):
            buffer[:] = frame
            verdict = call(buffer, length)
        taken = time.perf_counter_ns() - start
        if verdict is not Verdict.TO_WAN:
            raise BenchError(f"the packet was not forwarded but judged {verdict.name}")
        return taken

    def idle(_buffer: bytearray, _length: int) -> Verdict:
        return Verdict.TO_WAN

    extra = [repeat(forward) - repeat(idle) for _ in range(REPETITIONS)]
    return statistics.median(extra) / PACKETS


def _open(forwarder: Forwarder, frames: Iterable[tuple[Side, bytes]]) -> None:
    for side, frame in frames:
        take = forwarder.from_lan if side is Side.LAN else forwarder.from_wan
        take(bytearray(frame), len(frame), now=0.0)


def _new_sessions() -> float:
    forwarder = _forwarder()
    frames = list(_session_frames(PACKETS))
    start = time.perf_counter()
    for frame in frames:
        forwarder.from_lan(bytearray(frame), len(frame), now=0.0)
    taken = time.perf_counter() - start
    _require_sessions(forwarder, PACKETS)
    return PACKETS / taken


def _session_memory() -> float:
    forwarder = _forwarder()
    before = _resident_bytes()
    for frame in _session_frames(SESSIONS):
        forwarder.from_lan(bytearray(frame), len(frame), now=0.0)
    _require_sessions(forwarder, SESSIONS)
    return _resident_bytes() - before


def _fragment_flood() -> float:
    forwarder = _forwarder()
    before = _resident_bytes()
    for number in range(FRAGMENTS):
        frame = fragment(SERVER.address + number // 65536, WAN_ADDRESS, number % 65536)
        forwarder.from_wan(bytearray(frame), len(frame), now=number * FLOOD_INTERVAL)
    return _resident_bytes() - before


def _hdlc_encode() -> float:
    encode = Encoder(AGREED).encode
    batches = _batches()
    return _bits_per_second(lambda: [encode(batch) for batch in batches])


def _hdlc_decode() -> float:
    octets = b"".join(map(Encoder(AGREED).encode, _batches()))
    reads = [octets[at : at + READ] for at in range(0, len(octets), READ)]

    def decode() -> None:
        feed = Decoder(MTU).feed
        found = sum(len(feed(read)) for read in reads)
        if found != PACKETS_ON_LINE:
            raise BenchError(f"{found} frames were found, not {PACKETS_ON_LINE}")

    return _bits_per_second(decode)


def _batches() -> list[list[bytes]]:
    """Return packets that look like noise, as compressed and encrypted ones do, some at a time."""
    rng = random.Random(SEED)
    frames = [ppp.join(ppp.Protocol.IP, rng.randbytes(MTU)) for _ in range(PACKETS_ON_LINE)]
    return [frames[at : at + BATCH] for at in range(0, PACKETS_ON_LINE, BATCH)]


def _bits_per_second(work: Callable[[], object]) -> float:
    """Return the median rate at which `work` deals with the packets on the line, in their bits."""
    taken = []
    for _ in range(REPETITIONS):
        start = time.perf_counter()
        work()
        taken.append(time.perf_counter() - start)
    return PACKETS_ON_LINE * MTU * 8 / statistics.median(taken)


def _require_sessions(forwarder: Forwarder, wanted: int) -> None:
    if forwarder.session_count != wanted:
        raise BenchError(f"{forwarder.session_count} sessions were opened, not {wanted}")


def _session_frames(count: int) -> Iterator[bytes]:
    """Yield the first packet of `count` sessions, spread over hosts, ports and remotes."""
    for number in range(count):
        endpoint, remote = divmod(number, SESSIONS_PER_ENDPOINT)
        host, port = divmod(endpoint, ENDPOINTS_PER_HOST)
        source = Endpoint(INSIDE.address + host, INSIDE.port + port)
        yield udp(source, Endpoint(SERVER.address + remote, SERVER.port))


def _resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * sysconf("SC_PAGE_SIZE")


MEASUREMENTS: dict[str, Callable[[], float]] = {
    "hit_udp": _hit_udp,
    "hit_tcp": _hit_tcp,
    "slow_udp": _slow_udp,
    "new_sessions": _new_sessions,
    "session_memory": _session_memory,
    "fragment_flood": _fragment_flood,
    "hdlc_encode": _hdlc_encode,
    "hdlc_decode": _hdlc_decode,
}

if __name__ == "__main__":
    print(MEASUREMENTS[sys.argv[1]]())
