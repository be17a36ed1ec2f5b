"""A forwarder that does as the test says, and two sides to put frames into.

The data plane's own tests want verdicts, faults and deadlines no real forwarder gives on
demand. Each frame's first payload byte, after the virtio-net header, names its verdict.
"""

import socket
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from router.devices import Side, Verdict
from router.reasons import Reason
from router.wire.malformed import Malformed

HEADER = bytes(10)
MISS_THEN = 0x10  # added to a verdict: the cache misses, the forwarder says it
FAULT = 0xEE  # the forwarder raises


def frame(code: int, payload: bytes = b"") -> bytes:
    return HEADER + bytes([code]) + payload


class Transmit(NamedTuple):
    side: Side
    frame: bytes


@dataclass(frozen=True)
class Row:
    protocol: str
    internal: str
    idle_s: float


class Record:
    """A session or a mapping; a mapping called "closed" has no sessions any more."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.sessions = () if name == "closed" else ("one",)

    def row(self, now: float) -> Row:
        return Row("udp" if self.name.endswith(":53") else "tcp", self.name, now)


class ScriptedCache:
    def forward(self, _side: Side, buffer: bytearray, _length: int, _now: float) -> Verdict:
        code = buffer[10]
        return Verdict.MISS if code >= MISS_THEN else Verdict(code)


class ScriptedForwarder:
    """`on_answered` and `on_timer` are queued as effects; `timer_fault` is raised."""

    def __init__(self) -> None:
        self.cache = ScriptedCache()
        self.counters: dict[Reason, int] = {Reason.SESSION: 3}
        self.malformed: dict[Malformed, int] = {}
        self.forwards: object = ()
        self.deadline: float | None = None
        self.on_answered: list[Transmit] = []
        self.on_timer: list[Transmit] = []
        self.timer_fault: Exception | None = None
        self.timers: list[float] = []
        self.seen: list[tuple[Side, float]] = []
        self.names: list[str] = []  # of sessions; port 53 makes one UDP
        self.mapped: list[str] = []
        self._effects: list[Transmit] = []

    def from_lan(self, buffer: bytearray, _length: int, *, now: float) -> Verdict:
        return self._judge(Side.LAN, buffer, now)

    def from_wan(self, buffer: bytearray, _length: int, *, now: float) -> Verdict:
        return self._judge(Side.WAN, buffer, now)

    def _judge(self, side: Side, buffer: bytearray, now: float) -> Verdict:
        self.seen.append((side, now))
        code = buffer[10]
        if code == FAULT:
            raise ZeroDivisionError("a packet nobody thought of")
        verdict = Verdict(code - MISS_THEN)
        if verdict is Verdict.ANSWERED:
            self._effects += self.on_answered
        buffer[11] ^= 0xFF  # an edit in place, for the test to see
        return verdict

    def take_effects(self) -> list[Transmit]:
        effects, self._effects = self._effects, []
        return effects

    def next_deadline(self) -> float | None:
        return self.deadline

    def handle_timer(self, *, now: float) -> None:
        self.timers.append(now)
        if self.timer_fault:
            raise self.timer_fault
        self.deadline = None
        self._effects += self.on_timer

    def line_up(self, address: int, mtu: int, *, now: float) -> None: ...

    def replace_forwards(self, rules: object, **_: object) -> int:
        self.forwards = rules
        return 0

    @property
    def session_count(self) -> int:
        return len(self.names)

    @property
    def mapping_count(self) -> int:
        return 0

    def sessions(self) -> Iterator[Record]:
        return iter([Record(name) for name in self.names])

    def mappings(self) -> Iterator[Record]:
        return iter([Record(name) for name in self.mapped])


class FrameSocket:
    """One end of a socket pair as a TUN, the other as the network behind it.

    SOCK_SEQPACKET keeps frames apart, as a TUN does, and is full sooner or later.
    """

    mtu = 1500

    def __init__(self, name: str) -> None:
        self.name = name
        self.near, self.far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.near.setblocking(False)
        self.far.setblocking(False)

    def fileno(self) -> int:
        return self.near.fileno()

    def read_into(self, buffer: bytearray) -> int:
        return self.near.recv_into(buffer)

    def write(self, frame: memoryview | bytes) -> None:
        self.near.send(frame)

    def put(self, *frames: bytes) -> None:
        for one in frames:
            self.far.send(one)

    def got(self) -> list[bytes]:
        frames = []
        while True:
            try:
                frames.append(self.far.recv(70000))
            except BlockingIOError:
                return frames

    def close(self) -> None:
        self.near.close()
        self.far.close()


class ManualClock:
    def __init__(self, now: float = 1000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now
