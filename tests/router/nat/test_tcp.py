"""The TCP tracker against a transcription of RFC 6146 section 3.5.2 and RFC 7857 section 2."""

import pytest

from router.devices import Verdict
from router.fastpath import Rewrite
from router.nat.tcp import LONG_LIVED, TRANSITIONS, Event, State, Tracker
from router.wire.address import Endpoint
from router.wire.ipv4 import IPv4
from router.wire.tcp import Tcp
from tests.lab.packets import tcp

# Who sent what, and the state after it. `-` leaves the state as it is.
TRANSCRIPTION = """
                O_SYN    I_SYN    O_FIN    I_FIN    O_RST    I_RST    O_DATA   I_DATA
outbound-init   -        o-ans    -        -        trans    trans    -        -
inbound-init    i-ans    -        -        -        trans    trans    -        -
outbound-answered -      -        o-fin    -        trans    trans    est      -
inbound-answered  -      -        -        i-fin    trans    trans    -        est
picked-up       o-init   -        both     both     trans    trans    -        est
established     -        -        o-fin    i-fin    trans    trans    -        -
outbound-fin    -        -        -        both     trans    trans    -        -
inbound-fin     -        -        both     -        trans    trans    -        -
both-fin        o-init   i-init   -        -        -        -        -        -
transitory      o-init   i-init   -        -        -        -        est      est
"""
SHORT = {
    "o-init": State.OUTBOUND_INIT,
    "i-init": State.INBOUND_INIT,
    "o-ans": State.OUTBOUND_ANSWERED,
    "i-ans": State.INBOUND_ANSWERED,
    "est": State.ESTABLISHED,
    "o-fin": State.OUTBOUND_FIN,
    "i-fin": State.INBOUND_FIN,
    "both": State.BOTH_FIN,
    "trans": State.TRANSITORY,
}
EVENTS = {  # by the flags of a segment and its direction
    ("S", True): Event.OUTBOUND_SYN,
    ("S", False): Event.INBOUND_SYN,
    ("SA", True): Event.OUTBOUND_SYN,
    ("SA", False): Event.INBOUND_SYN,
    ("FA", True): Event.OUTBOUND_FIN,
    ("FA", False): Event.INBOUND_FIN,
    ("R", True): Event.OUTBOUND_RST,
    ("R", False): Event.INBOUND_RST,
    ("RA", True): Event.OUTBOUND_RST,
    ("RFA", False): Event.INBOUND_RST,
    ("SR", False): Event.INBOUND_RST,
    ("SF", True): Event.OUTBOUND_SYN,
    ("A", True): Event.OUTBOUND_DATA,
    ("PA", False): Event.INBOUND_DATA,
    (".", True): Event.OUTBOUND_DATA,
    ("UA", False): Event.INBOUND_DATA,
}
L, N, W = Endpoint(0xC0A8010B, 4000), Endpoint(0xCB007102, 4000), Endpoint(0xC633640A, 80)


def state(name: str) -> State:
    return State[name.upper().replace("-", "_")]


def transcribed() -> dict[tuple[State, str], State]:
    head, *rows = TRANSCRIPTION.strip().splitlines()
    table = {}
    for row in rows:
        name, *cells = row.split()
        for event, cell in zip(head.split(), cells, strict=True):
            table[state(name), event] = state(name) if cell == "-" else SHORT[cell]
    return table


def segment(flags: str, *, seq: int = 0, ack: int = 0, window: int = 1000, scale: int = 0) -> Tcp:
    options = [("WScale", scale)] if scale else None
    text = f"192.0.2.1:1 > 192.0.2.2:2 {flags}"
    packet = tcp(text, seq=seq, ack=ack, window=window, tcp_options=options)[10:]
    view = IPv4.parse(bytearray(packet), 0, len(packet))
    assert isinstance(view, IPv4)
    parsed = Tcp.parse(view)
    assert isinstance(parsed, Tcp)
    return parsed


def rewrite() -> Rewrite:
    return Rewrite(Verdict.TO_WAN, (L, W), (N, W), -1)


def at(reached: State) -> Tracker:
    tracker = Tracker(segment("S", seq=1000), outbound=True)
    tracker.state = reached
    return tracker


def test_the_whole_table_is_as_transcribed() -> None:
    found = {
        (before, event.name.replace("OUTBOUND", "O").replace("INBOUND", "I")): after
        for before, row in TRANSITIONS.items()
        for event, after in row.items()
    }
    assert found == transcribed()
    assert len(found) == len(State) * len(Event)


@pytest.mark.parametrize(("flags", "outbound"), EVENTS, ids=str)
@pytest.mark.parametrize("before", State, ids=lambda s: s.name)
def test_a_segment_counts_by_the_flag_that_matters_most(
    before: State, flags: str, outbound: bool
) -> None:
    tracker, internal = at(before), rewrite()
    tracker.answer_sequence = 0xFFFFFFFF  # acknowledged by segments with number 0
    internal.acknowledgment, internal.window = 500, 1000  # a reset at 500 is believed
    tracker.handle(segment(flags, seq=500), not outbound, internal)
    assert tracker.state is TRANSITIONS[before][EVENTS[flags, outbound]]


@pytest.mark.parametrize(
    ("flags", "outbound", "expected"),
    [
        ("S", True, State.OUTBOUND_INIT),
        ("S", False, State.INBOUND_INIT),
        ("A", True, State.PICKED_UP),
        ("PA", True, State.PICKED_UP),
    ],
)
def test_where_a_session_begins(flags: str, outbound: bool, expected: State) -> None:
    assert Tracker(segment(flags), outbound=outbound).state is expected


def test_the_cache_may_have_what_plain_segments_do_not_change() -> None:
    plain = (Event.OUTBOUND_DATA, Event.INBOUND_DATA)
    assert all(TRANSITIONS[steady][event] is steady for steady in LONG_LIVED for event in plain)
    assert State.TRANSITORY not in LONG_LIVED
    assert State.BOTH_FIN not in LONG_LIVED


@pytest.mark.parametrize(
    ("before", "flags", "outbound", "refreshes"),
    [
        (State.ESTABLISHED, "A", True, True),
        (State.ESTABLISHED, "A", False, True),
        (State.ESTABLISHED, "S", False, False),  # blind
        (State.OUTBOUND_INIT, "S", True, True),
        (State.OUTBOUND_FIN, "A", False, True),
        (State.OUTBOUND_FIN, "FA", True, True),
        (State.BOTH_FIN, "A", True, False),
        (State.BOTH_FIN, "FA", False, False),
        (State.BOTH_FIN, "S", True, True),
        (State.TRANSITORY, "R", True, False),
        (State.TRANSITORY, "R", False, False),
        (State.TRANSITORY, "A", True, True),
        (State.ESTABLISHED, "R", True, True),  # the short timer begins now
    ],
)
def test_what_restarts_the_timer(
    before: State, flags: str, outbound: bool, refreshes: bool
) -> None:
    assert at(before).handle(segment(flags), not outbound, rewrite()) == refreshes


# Which inbound resets are believed

TOP = 0xFFFFFFFF


@pytest.mark.parametrize(
    ("acknowledged", "sequence", "scale", "believed"),
    [
        (5000, 5000, 0, True),
        (5000, 6000, 0, True),
        (5000, 6001, 0, False),
        (5000, 4999, 0, False),
        (5000, 5000 + (1000 << 7), 7, True),
        (5000, 5001 + (1000 << 7), 7, False),
        (TOP, 998, 0, True),
        (TOP, 1000, 0, False),
        (0, TOP, 0, False),
    ],
)
def test_a_reset_inside_the_window_is_believed(
    acknowledged: int, sequence: int, scale: int, believed: bool
) -> None:
    tracker = Tracker(segment("S", seq=1, scale=scale), outbound=True)
    tracker.state = State.ESTABLISHED
    internal = rewrite()
    internal.acknowledgment, internal.window = acknowledged, 1000
    tracker.handle(segment("R", seq=sequence), True, internal)
    assert (tracker.state is State.TRANSITORY) == believed


@pytest.mark.parametrize(
    ("flags", "ack", "believed"),
    [("RA", 1001, True), ("RA", 1000, False), ("RA", 1002, False), ("R", 1001, False)],
)
def test_a_refused_connection_is_told_by_what_the_reset_acknowledges(
    flags: str, ack: int, believed: bool
) -> None:
    tracker = Tracker(segment("S", seq=1000), outbound=True)
    tracker.handle(segment(flags, ack=ack), True, rewrite())
    assert (tracker.state is State.TRANSITORY) == believed


@pytest.mark.parametrize(("sequence", "believed"), [(1001, True), (1000, False), (9, False)])
def test_a_client_that_gives_up_is_told_by_its_sequence(sequence: int, believed: bool) -> None:
    tracker = Tracker(segment("S", seq=1000), outbound=False)
    tracker.handle(segment("R", seq=sequence), True, rewrite())
    assert (tracker.state is State.TRANSITORY) == believed


def test_with_nothing_to_measure_by_a_reset_is_believed() -> None:
    tracker = Tracker(segment("A"), outbound=True)
    tracker.handle(segment("R", seq=123), True, rewrite())
    assert tracker.state is State.TRANSITORY


def test_an_outbound_reset_needs_no_proof() -> None:
    tracker = at(State.ESTABLISHED)
    internal = rewrite()
    internal.acknowledgment, internal.window = 5000, 10
    tracker.handle(segment("R", seq=77), False, internal)
    assert tracker.state is State.TRANSITORY


def test_a_refused_reconnection_is_believed() -> None:
    """The window of the connection before says nothing about the answer to the new SYN."""
    tracker, internal = at(State.BOTH_FIN), rewrite()
    internal.acknowledgment, internal.window = 5000, 10
    tracker.handle(segment("S", seq=777), False, internal)
    tracker.handle(segment("RA", ack=778), True, internal)
    assert tracker.state is State.TRANSITORY


# A stranger's half-open session


def answered() -> Tracker:
    """A stranger's SYN was answered by the internal host with its sequence number 5000."""
    tracker = Tracker(segment("S", seq=100), outbound=False)
    tracker.handle(segment("SA", seq=5000, ack=101), False, rewrite())
    assert tracker.state is State.INBOUND_ANSWERED
    return tracker


@pytest.mark.parametrize(
    ("flags", "ack", "establishes"),
    [
        ("A", 5001, True),
        ("PA", 5001, True),
        ("A", 5001 + 1460, True),
        ("A", 77, False),
        ("A", 5000, False),
        ("", 5001, False),
    ],
)
def test_a_handshake_is_complete_with_the_right_acknowledgment(
    flags: str, ack: int, establishes: bool
) -> None:
    tracker = answered()
    tracker.handle(segment(flags or ".", seq=101, ack=ack), True, rewrite())
    assert (tracker.state is State.ESTABLISHED) is establishes


def test_a_stranger_alone_keeps_no_half_open_session() -> None:
    tracker = Tracker(segment("S", seq=100), outbound=False)
    assert not tracker.handle(segment("S", seq=100), True, rewrite())
    assert not tracker.handle(segment("A", seq=101), True, rewrite())
    assert not answered().handle(segment("S", seq=100), True, rewrite())


def test_the_internal_host_may_take_its_time_to_be_answered() -> None:
    tracker = Tracker(segment("S", seq=100), outbound=True)
    assert tracker.handle(segment("S", seq=100), False, rewrite())
