"""A forwarder that does as the test says, and two sides to put frames into.

The data plane's own tests want verdicts, faults and deadlines no real forwarder gives on
demand. Each frame's first payload byte, after the virtio-net header, names its verdict.
"""

import socket
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

from router.devices import Side, Verdict
from router.link.messages import Signal, StateChange
from router.link.rows import BudgetRow, HeldRow, HolderRow, Holding, LeaseRow, LinkRow
from router.link.types import State
from router.reasons import Reason
from router.wire.address import format_address
from router.wire.malformed import Malformed

HEADER = bytes(10)
MISS_THEN = 0x10  # added to a verdict: the cache misses, the forwarder says it
FAULT = 0xEE  # the forwarder raises
BUSY = {state.value for state in (State.DIALING, State.NEGOTIATING, State.UP, State.HANGING_UP)}


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


def link_row(name: str, state: State = State.DORMANT, **changes: object) -> LinkRow:
    row = LinkRow(
        name=name, mode="on-demand", state=state.value, since_s=5.0, reason="at start", by="router",
        address="", mtu=1500, active=False, up_s=None, falls_in_s=None, again_in_s=None, blocked="",
        failures=0, attempt=0,
    )  # fmt: skip
    return replace(row, **changes)  # type: ignore[arg-type]


class ScriptedLines:
    """The links as the test moves them with `step`; `asked` is what was asked of them.

    `refusal` is the answer to raising and dropping, and changes nothing; `lease_refusal` that to
    granting; with `lease_limit` leases there are no more. Without a refusal a link that is down
    dials when it is raised, and any hangs up when it is dropped.
    """

    def __init__(self) -> None:
        self.links: list[LinkRow] = []
        self.budgets: list[BudgetRow] = []
        self.waiting: list[HeldRow] = []
        self.holders: list[HolderRow] = []
        self.leases: dict[str, LeaseRow] = {}
        self.lease_limit = 10
        self.refusal = self.lease_refusal = ""
        self.asked: list[tuple[object, ...]] = []
        self.signals: list[Signal] = []

    def step(self, name: str, state: State, reason: str, by: str, **changes: object) -> None:
        """Have a link go to another state, and tell."""
        index = next(index for index, row in enumerate(self.links) if row.name == name)
        former = self.links[index]
        self.links[index] = replace(
            former,
            state=state.value,
            reason=reason,
            by=by,
            since_s=0.0,
            **changes,  # type: ignore[arg-type]
        )
        self.signals.append(StateChange(name, State(former.state), state, reason, by, 0.0))

    def take_signals(self) -> list[Signal]:
        signals, self.signals = self.signals, []
        return signals

    def report(self, report: object, **_: float) -> None:
        self.asked.append(("report", report))

    def raise_link(self, name: str, by: str, **_: float) -> str:
        self.asked.append(("raise", name, by))
        row = next(row for row in self.links if row.name == name)
        if not self.refusal and row.state not in BUSY:
            self.step(name, State.DIALING, "asked for", by, attempt=row.attempt + 1)
        return self.refusal

    def drop_link(self, name: str, by: str, *, stay: bool, **_: float) -> str:
        self.asked.append(("drop", name, by, stay))
        if not self.refusal:
            self.step(name, State.HANGING_UP, "taken down", by)
        return self.refusal

    def grant_lease(
        self, lease: str, right: str, why: str, host: int | None, ttl_s: float, **_: float
    ) -> str:
        if len(self.leases) >= self.lease_limit:
            return "there are too many leases"
        address = "" if host is None else format_address(host)
        self.leases[lease] = LeaseRow(lease, right, why, address, ttl_s)
        return self.lease_refusal

    def renew_lease(self, lease: str, ttl_s: float, **_: float) -> bool:
        if lease in self.leases:
            self.leases[lease] = replace(self.leases[lease], expires_in_s=ttl_s)
        return lease in self.leases

    def release_lease(self, lease: str, **_: float) -> bool:
        return self.leases.pop(lease, None) is not None

    def link_rows(self, _now: float) -> tuple[LinkRow, ...]:
        return tuple(self.links)

    def budget_rows(self, _now: float) -> tuple[BudgetRow, ...]:
        return tuple(self.budgets)

    def holding(self, _now: float) -> Holding:
        leases = tuple(self.leases.values())
        return Holding(tuple(self.waiting), tuple(self.holders), leases)

    def note_traffic(self, received_bytes: int, sent_bytes: int, **_: float) -> None:
        self.asked.append(("traffic", received_bytes, sent_bytes))

    def set_civil_offset(self, offset_s: float, **_: float) -> None:
        self.asked.append(("offset", offset_s))

    def load_usage(self, usage: object, **_: float) -> None:
        self.asked.append(("usage", usage))

    def begin(self, **_: float) -> None:
        self.asked.append(("begin",))

    def shut_down(self, **_: float) -> None:
        self.asked.append(("shut down",))


class ScriptedForwarder:
    """`on_answered` and `on_timer` are queued as effects; `timer_fault` is raised."""

    def __init__(self) -> None:
        self.lines = ScriptedLines()
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
