"""PPP sessions whatever the wire does and whatever the peer says.

On the wires here frames are lost, come twice or late, and go through HDLC framing with bit errors.
What passes its check sequence all the same, or was made so by the peer, the fuzzed sessions hear.
"""

import random
from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from router.ppp.session import Session
from router.ppp.types import (
    Demand,
    Echo,
    End,
    Login,
    Method,
    Phase,
    SessionConfig,
)
from router.wire.hdlc import Decoder, Encoder
from tests.lab.ppp import ALICE, PASSWORD, Wire, a_client, a_server, frame, shown
from tests.properties.profiles import budget

LATENCY_S = 0.1
ECHO = Echo(interval_s=30.0, failures=4)
DEAF_S = 150.0  # seconds until a peer that is gone is missed: four echoes unanswered, and one more

# Seconds, and frames of both ends together, in which two ends have come to something: thrice the
# ten requests of LCP, the login's minute and thrice ten requests of IPCP, begun again now and then.
SETTLED_S = 600.0
MOST_FRAMES = 400


@dataclass
class Faults:
    """What a wire does to frames for its first `until` seconds.

    Rates are per frame; `noise` is per octet on the line.
    """

    seed: int
    loss: float
    twice: float
    late: float
    noise: float
    until: float

    def __post_init__(self) -> None:
        self.rng = random.Random(self.seed)
        self.wire: Wire | None = None

    def __call__(self, sent: bytes) -> list[tuple[float, bytes]]:
        assert self.wire is not None
        if self.wire.now >= self.until:
            return [(0.0, sent)]
        if self.rng.random() < self.loss:
            return []
        copies = 2 if self.rng.random() < self.twice else 1
        return [
            (self._delay(), arrived) for _ in range(copies) for arrived in self._over_noise(sent)
        ]

    def _over_noise(self, sent: bytes) -> list[bytes]:
        line = bytearray(Encoder().encode([sent]))
        for at in range(len(line)):
            if self.rng.random() < self.noise:
                line[at] ^= 1 << self.rng.randrange(8)
        return Decoder().feed(bytes(line))

    def _delay(self) -> float:
        return self.rng.uniform(0.0, 2.0) if self.rng.random() < self.late else 0.0


faults = st.builds(
    Faults,
    seed=st.integers(0, 2**32),
    loss=st.sampled_from([0.0, 0.1, 0.3, 0.6, 0.9]),
    twice=st.sampled_from([0.0, 0.2, 0.5]),
    late=st.sampled_from([0.0, 0.2, 0.5]),
    noise=st.sampled_from([0.0, 0.001, 0.01]),
    until=st.sampled_from([1.0, 10.0, 40.0, 120.0]),
)
methods = st.sampled_from([None, *Method])


def ends(first: Method | None, second: Method | None, **options: object) -> list[SessionConfig]:
    """A client that logs in by the first method and a server that does by the second."""
    client = a_client(
        login=Login(ALICE, PASSWORD, (first,)) if first else None,
        demand=Demand({"isp": "secret"}.get, "home", (second,)) if second else None,
        echo=ECHO,
        **options,
    )
    server = a_server(
        login=Login("isp", "secret", (second,)) if second else None,
        demand=Demand({ALICE: PASSWORD}.get, "provider", (first,)) if first else None,
        echo=ECHO,
        **options,
    )
    return [client, server]


def joined(configs: list[SessionConfig], faults: Faults) -> Wire:
    sessions = [
        Session(config, rng=random.Random(faults.seed + n), now=0.0)
        for n, config in enumerate(configs)
    ]
    wire = faults.wire = Wire(sessions, faults, latency_s=LATENCY_S)
    wire.start()
    return wire


@budget(200)
@given(faults, methods, methods, st.booleans())
def test_two_ends_agree_or_give_up(
    faults: Faults, first: Method | None, second: Method | None, is_async: bool
) -> None:
    wire = joined(ends(first, second, is_async=is_async), faults)
    wire.run(faults.until + SETTLED_S)
    assert wire.sent < MOST_FRAMES, "\n".join(wire.said)
    phases = [end.phase for end in wire.ends]
    assert phases in ([Phase.NETWORK] * 2, [Phase.DEAD] * 2), "\n".join(wire.said)
    if phases[0] is Phase.NETWORK:
        client, server = wire.opened(0), wire.opened(1)
        assert client is not None
        assert server is not None
        assert (client.address, client.peer_address) == (server.peer_address, server.address)
        assert all(end.wrap(b"\x45") is not None for end in wire.ends)


@budget(100)
@given(faults, st.sampled_from(list(Method)))
def test_a_wrong_password_opens_nothing(faults: Faults, method: Method) -> None:
    client, server = ends(method, None)
    wrong = SessionConfig(login=Login(ALICE, "guess", (method,)), echo=ECHO)
    assert client.login != wrong.login
    wire = joined([wrong, server], faults)
    wire.run(faults.until + SETTLED_S)
    assert (wire.opened(0), wire.opened(1)) == (None, None)
    assert [end.phase for end in wire.ends] == [Phase.DEAD] * 2
    if not (faults.loss or faults.late or faults.noise):
        closed = wire.closed(0)
        assert closed is not None
        assert closed.end is End.REFUSED


@budget(60)
@given(faults, methods)
def test_a_looped_line_never_opens(faults: Faults, method: Method | None) -> None:
    configs = [a_client(method) if method else a_client()]
    wire = joined(configs, faults)
    wire.run(faults.until + SETTLED_S)
    closed = wire.closed(0)
    assert closed is not None
    assert wire.opened(0) is None
    assert closed.end in ((End.LOOPED,) if not faults.loss else (End.LOOPED, End.SILENT))


@budget(60)
@given(st.integers(0, 2**32), st.floats(0.0, 60.0), methods, st.integers(0, 1))
def test_who_is_left_alone_notices(
    seed: int, gone_at: float, method: Method | None, survivor: int
) -> None:
    faults = Faults(seed, 0.0, 0.0, 0.0, 0.0, 0.0)
    wire = joined(ends(method, None), faults)
    wire.run(gone_at)
    wire.ends[1 - survivor].carrier_lost(wire.now)
    wire.run(gone_at + DEAF_S + 30.0)
    closed = wire.closed(survivor)
    assert closed is not None
    assert closed.end in (End.SILENT, End.DEAF, End.UNPROVEN)


# Whatever comes

PROTOCOLS = [0x0021, 0x8021, 0x80FD, 0xC021, 0xC023, 0xC223]
anything = st.binary(max_size=64)
packets = st.builds(
    lambda protocol, code, identifier, data: (
        protocol.to_bytes(2, "big")
        + bytes([code, identifier])
        + (len(data) + 4).to_bytes(2, "big")
        + data
    ),
    st.sampled_from(PROTOCOLS),
    st.integers(0, 14),
    st.integers(0, 3),
    anything,
)


@dataclass
class Mutation:
    """A frame somewhere in the conversation is another: octets changed, inserted, cut off."""

    at: int
    offset: int
    cut: int
    octets: bytes

    def __call__(self, sent: bytes) -> bytes:
        offset = self.offset % (len(sent) + 1)
        return sent[:offset] + self.octets + sent[offset + self.cut :]


mutations = st.builds(
    Mutation,
    at=st.integers(0, 30),
    offset=st.integers(0, 60),
    cut=st.integers(0, 8),
    octets=st.binary(max_size=8),
)


def is_over_in_time(session: Session, now: float) -> bool:
    """Whether a session that is told to hang up does, within the RFC's two requests."""
    session.close(now)
    while (due := session.next_deadline()) is not None:
        assert due <= now + 7.0
        session.handle_timer(due)
    return session.phase is Phase.DEAD


@budget(300)
@given(st.lists(st.one_of(anything, packets), max_size=30), methods, methods)
def test_random_octets_neither_raise_nor_wedge(
    heard: list[bytes], first: Method | None, second: Method | None
) -> None:
    for config in ends(first, second):
        session, now = Session(config, rng=random.Random(1), now=0.0), 0.0
        session.start(now)
        for data in heard:
            now += 0.1
            session.receive(data, now)
            assert len(session.take_frames()) <= 4
            session.handle_timer(now)
            due = session.next_deadline()
            assert due is None or due > now
        assert is_over_in_time(session, now)


@budget(300)
@given(st.lists(mutations, min_size=1, max_size=6), methods, methods)
def test_mutated_conversations_neither_raise_nor_wedge(
    changes: list[Mutation], first: Method | None, second: Method | None
) -> None:
    by_number = {change.at: change for change in changes}
    counted = 0

    def meddle(sent: bytes) -> list[tuple[float, bytes]]:
        nonlocal counted
        counted += 1
        change = by_number.get(counted)
        return [(0.0, change(sent) if change else sent)]

    sessions = [
        Session(config, rng=random.Random(n), now=0.0)
        for n, config in enumerate(ends(first, second))
    ]
    wire = Wire(sessions, meddle, latency_s=LATENCY_S)
    wire.start()
    wire.run(SETTLED_S)
    assert wire.sent < MOST_FRAMES, "\n".join(wire.said)
    assert len({end.phase is Phase.NETWORK for end in wire.ends}) == 1, "\n".join(wire.said)
    for end in wire.ends:
        assert is_over_in_time(end, wire.now)


# Peers that are of one mind only

ANSWERS = {
    "none": "",
    "ack": "Configure-Ack id={id} {options}",
    "nak": "Configure-Nak id={id} {options}",
    "reject": "Configure-Reject id={id} {options}",
    "unknown code": "99 id={id}",
    "terminate": "Terminate-Request id={id}",
    "terminated": "Terminate-Ack id={id}",
    "code rejected": "Code-Reject id={id} 09",
    "code vital": "Code-Reject id={id} 01",
    "echo": "9 id={id} 0badcafe",
}
REQUESTS = {
    "none": "",
    "nothing": "Configure-Request id={n}",
    "impossible": "Configure-Request id={n} 99=01",
    "bad value": "Configure-Request id={n} {kind}=01",
}


@dataclass
class Obstinate:
    """A peer that answers every request in one way and makes requests in one way."""

    lcp: tuple[str, str]
    ipcp: tuple[str, str]
    every_s: float

    def answers(self, sent: str, n: int) -> list[bytes]:
        protocol, code, *fields = sent.split()
        if code != "Configure-Request":
            return []
        answer, _ = self.lcp if protocol == "LCP" else self.ipcp
        fields = {"id": fields[0].removeprefix("id="), "options": " ".join(fields[1:]), "n": n}
        return self._say(protocol, ANSWERS[answer], **fields)

    def requests(self, n: int) -> list[bytes]:
        lcp = self._say("LCP", REQUESTS[self.lcp[1]], n=n % 256, kind=1)
        return lcp + self._say("IPCP", REQUESTS[self.ipcp[1]], n=n % 256, kind=3)

    def _say(self, protocol: str, words: str, **fields: object) -> list[bytes]:
        return [frame(f"{protocol} {words.format(**fields)}")] if words else []


habits = st.tuples(st.sampled_from(sorted(ANSWERS)), st.sampled_from(sorted(REQUESTS)))


@budget(100)
@given(st.builds(Obstinate, habits, habits, st.sampled_from([0.5, 3.0, 20.0])))
def test_no_obstinate_peer_keeps_us_for_ever(peer: Obstinate) -> None:
    session, now, n, sent = Session(a_client(echo=ECHO), rng=random.Random(1), now=0.0), 0.0, 0, 0
    session.start(now)
    asks_at = 0.0
    while session.phase is not Phase.DEAD and now < SETTLED_S:
        for line in map(shown, session.take_frames()):
            sent += 1
            for data in peer.answers(line, n):
                session.receive(data, now)
        now = min(asks_at, session.next_deadline() or asks_at)
        if now == asks_at:
            asks_at, n = now + peer.every_s, n + 1
            for data in peer.requests(n):
                session.receive(data, now)
        session.handle_timer(now)
    assert session.phase in (Phase.DEAD, Phase.NETWORK), session.phase
    assert sent <= 12 * n + MOST_FRAMES
