"""PPP frames as text, one session played against a script, and two joined by a wire.

    > LCP Configure-Request id=1 accm=00000000 magic=11111111 pfc acfc
    < IPCP Configure-Nak id=2 address=10.0.0.2

Options and fields that have no name here are numbers: `99=0102`. What is behind the options, or
where there are none the whole of a packet's data, is `data=HEX`.
"""

import ipaddress
import itertools
from collections.abc import Callable, Sequence
from typing import Any

from router.ppp.session import Session
from router.ppp.types import (
    Closed,
    Demand,
    Event,
    Framed,
    Login,
    Method,
    Opened,
    PhaseChange,
    SessionConfig,
)

PROTOCOLS = {
    "IP": 0x0021, "VJ": 0x002D, "IPCP": 0x8021, "IPV6CP": 0x8057, "CCP": 0x80FD, "LCP": 0xC021,
    "PAP": 0xC023, "CHAP": 0xC223,
}  # fmt: skip
CONFIGURE = ["Configure-Request", "Configure-Ack", "Configure-Nak", "Configure-Reject"]
LCP_CODES = [
    *CONFIGURE, "Terminate-Request", "Terminate-Ack", "Code-Reject", "Protocol-Reject",
    "Echo-Request", "Echo-Reply", "Discard-Request", "Identification",
]  # fmt: skip
CODES = {
    "LCP": LCP_CODES,
    "IPCP": LCP_CODES[:7],
    "CCP": LCP_CODES[:7],
    "IPV6CP": LCP_CODES[:7],
    "PAP": ["Authenticate-Request", "Authenticate-Ack", "Authenticate-Nak"],
    "CHAP": ["Challenge", "Response", "Success", "Failure"],
}
OPTIONS = {
    "LCP": {1: "mru", 2: "accm", 3: "auth", 4: "quality", 5: "magic", 7: "pfc", 8: "acfc"},
    "IPCP": {1: "addresses", 2: "vj", 3: "address", 129: "dns1", 130: "wins1", 131: "dns2"},
}
METHODS = {"pap": "c023", "chap": "c22305", "mschapv2": "c22381", "mschap": "c22380", "eap": "c227"}


# Frames as text


def frame(text: str) -> bytes:
    """The frame a line of text describes, without address and control."""
    protocol, *words = text.split()
    number = PROTOCOLS[protocol] if protocol in PROTOCOLS else int(protocol, 16)
    head = number.to_bytes(2, "big")
    if protocol not in CODES:
        return head + b"".join(bytes.fromhex(word) for word in words)
    name, identifier, *fields = words
    codes = CODES[protocol]
    code = codes.index(name) + 1 if name in codes else int(name)
    data = b"".join(_field(protocol, word, name in CONFIGURE) for word in fields)
    return head + bytes([code, int(identifier.removeprefix("id="))]) + _length(data) + data


def _length(data: bytes) -> bytes:
    return (len(data) + 4).to_bytes(2, "big")


def _field(protocol: str, word: str, in_options: bool) -> bytes:
    name, _, value = word.partition("=")
    if name == "data":
        return bytes.fromhex(value)
    if name == "text":
        return value.replace("_", " ").encode()
    if name == "protocol":
        return PROTOCOLS[value].to_bytes(2, "big")
    if not in_options:
        return bytes.fromhex(value or name)
    kinds = {name: kind for kind, name in OPTIONS.get(protocol, {}).items()}
    content = _value(name, value)
    return bytes([kinds[name] if name in kinds else int(name), len(content) + 2]) + content


def _value(name: str, value: str) -> bytes:
    if name == "mru" and not value.startswith("0x"):
        return int(value).to_bytes(2, "big")
    if "." in value:
        return ipaddress.ip_address(value).packed
    return bytes.fromhex(METHODS.get(value, value).removeprefix("0x"))


def shown(data: bytes) -> str:
    """A frame as text."""
    number, information = int.from_bytes(data[:2], "big"), data[2:]
    protocol = next((name for name, n in PROTOCOLS.items() if n == number), f"{number:04x}")
    if protocol not in CODES:
        return f"{protocol} {information.hex()}".strip()
    code, identifier = information[:2]
    assert information[2:4] == _length(information[4:]), (
        "what we send is exactly as long as it says"
    )
    body, codes = information[4:], CODES[protocol]
    name = codes[code - 1] if code <= len(codes) else str(code)
    return " ".join([protocol, name, f"id={identifier}", *_shown_body(protocol, name, body)])


def _shown_body(protocol: str, name: str, body: bytes) -> list[str]:
    if name in CONFIGURE:
        return _shown_options(protocol, body)
    if name == "Terminate-Request" and body:
        return ["text=" + body.decode().replace(" ", "_")]
    if name == "Protocol-Reject":
        number = int.from_bytes(body[:2], "big")
        rejected = [known for known, n in PROTOCOLS.items() if n == number]
        rest = [f"data={body[2:].hex()}"] if body[2:] else []
        return [f"protocol={rejected[0]}", *rest] if rejected else [f"data={body.hex()}"]
    if name in ("Echo-Request", "Echo-Reply", "Discard-Request", "Identification"):
        return [f"magic={body[:4].hex()}", *([f"data={body[4:].hex()}"] if body[4:] else [])]
    return [f"data={body.hex()}"] if body else []


def _shown_options(protocol: str, body: bytes) -> list[str]:
    words = []
    while body:
        kind, length = body[:2]
        assert 2 <= length <= len(body)
        value, body = body[2:length], body[length:]
        name = OPTIONS.get(protocol, {}).get(kind, str(kind))
        words.append(f"{name}={_shown_value(name, value)}" if value else name)
    return words


def _shown_value(name: str, value: bytes) -> str:
    if name == "mru" and len(value) == 2:
        return str(int.from_bytes(value, "big"))
    if name in ("address", "dns1", "dns2") and len(value) == 4:
        return str(ipaddress.ip_address(value))
    known = {hexadecimal: method for method, hexadecimal in METHODS.items()}
    return known.get(value.hex(), value.hex()) if name == "auth" else value.hex()


def told(event: Event) -> str:
    """An event as text."""
    match event:
        case PhaseChange(phase):
            return phase.value
        case Framed(framing):
            flags = ["pfc"] * framing.compresses_protocol + ["acfc"] * framing.compresses_address
            return " ".join(["framed", f"{framing.accm:08x}", *flags])
        case Opened():
            names = [dotted(address) for address in event.dns]
            words = ["opened", dotted(event.address), "to", dotted(event.peer_address)]
            words += [f"mtu {event.mtu}"] + [f"dns {','.join(names)}"] * bool(names)
            return " ".join(words + [f"user {event.user}"] * bool(event.user))
        case Closed():
            return f"closed, {event}"


def dotted(address: int) -> str:
    return str(ipaddress.ip_address(address))


def number(address: str) -> int:
    return int(ipaddress.ip_address(address))


# One session and a script


class Dice:
    """Randomness a script can foretell: identifiers count from 1, magic numbers are 11111111,
    22222222 and so on, every other octet is 0."""

    def __init__(self) -> None:
        self._magic = itertools.count(1)

    def randrange(self, start: int, stop: int) -> int:
        return next(self._magic) * 0x11111111 % stop if stop > 0xFFFF else start


class Rig:
    """A session whose other end is the script.

    A script has a line for everything that goes in, which are carried out, and for everything that
    comes out, which are compared:

        ! start, close, lost: an order        = an event
        < a frame that arrives                > a frame that is sent
        + seconds that pass                   * an IPv4 packet that is received
    """

    def __init__(self, config: SessionConfig) -> None:
        self.now = 0.0
        self.session = Session(config, rng=Dice(), now=self.now)
        self._orders: dict[str, Callable[[float], None]] = {
            "start": self.session.start,
            "close": self.session.close,
            "lost": self.session.carrier_lost,
        }

    def play(self, script: str) -> None:
        lines = [line.strip() for line in script.strip().splitlines() if line.strip()]
        happened = []
        for line in lines:
            if line[0] in "!<+":
                happened += [line, *self._do(line[0], line[2:])]
        assert happened == lines, "\n".join(happened)

    def _do(self, mark: str, what: str) -> list[str]:
        if mark == "!":
            self._orders[what](self.now)
        elif mark == "<":
            packet = self.session.receive(frame(what), self.now)
            return ([f"* {packet.hex()}"] if packet is not None else []) + self._said()
        else:
            return self._wait(self.now + float(what))
        return self._said()

    def _wait(self, until: float) -> list[str]:
        said: list[str] = []
        while (due := self.session.next_deadline()) is not None and due <= until:
            self.session.handle_timer(due)
            assert self.session.next_deadline() != due, "a deadline that is not met"
            said += self._said()
        self.now = until
        self.session.handle_timer(until)
        assert self._said() == [], "nothing happens but at deadlines"
        return said

    def _said(self) -> list[str]:
        events = [f"= {told(event)}" for event in self.session.take_events()]
        return events + [f"> {shown(sent)}" for sent in self.session.take_frames()]


# Two sessions


ALICE, PASSWORD = "alice", "wonderland"


def a_client(*methods: Method, password: str = PASSWORD, **options: Any) -> SessionConfig:
    """One who asks for everything."""
    login = Login(ALICE, password, methods) if methods else None
    return SessionConfig(**({"login": login} | options))  # type: ignore[arg-type]


def a_server(*methods: Method, **options: Any) -> SessionConfig:
    """A provider with one customer."""
    offers = {
        "demand": Demand({ALICE: PASSWORD}.get, "isp", methods) if methods else None,
        "address": number("10.0.0.1"),
        "peer_address": number("10.0.0.2"),
        "asks_dns": False,
        "dns": (number("9.9.9.9"), number("9.9.9.10")),
    }
    return SessionConfig(**(offers | options))  # type: ignore[arg-type]


class Wire:
    """Joins two sessions; `meddle` says what becomes of a frame: when which frames arrive instead.

    `said` is all that was sent, `events` what each session has told, `up_at` when it opened first.
    """

    def __init__(
        self,
        ends: Sequence[Session],
        meddle: Callable[[bytes], list[tuple[float, bytes]]] | None = None,
        *,
        latency_s: float = 0.0,
    ) -> None:
        self.ends = ends
        self.now = 0.0
        self.said: list[str] = []
        self.sent = 0
        self.events: list[list[Event]] = [[] for _ in ends]
        self.up_at: list[float | None] = [None for _ in ends]
        self._latency_s = latency_s
        self._meddle = meddle or (lambda frame: [(0.0, frame)])
        self._flying: list[tuple[float, int, int, bytes]] = []
        self._count = itertools.count()

    def start(self) -> None:
        for end in self.ends:
            end.start(self.now)
        self._take()

    def _take(self) -> None:
        for which, end in enumerate(self.ends):
            for event in end.take_events():
                self.events[which].append(event)
                if isinstance(event, Opened) and self.up_at[which] is None:
                    self.up_at[which] = self.now
            for sent in end.take_frames():
                self.sent += 1
                self.said.append("<>"[which % 2] + " " + shown(sent))
                for after_s, arrives in self._meddle(sent):
                    at = self.now + self._latency_s + after_s
                    other = (which + 1) % len(self.ends)
                    self._flying.append((at, next(self._count), other, arrives))

    def _next(self) -> float | None:
        due = [end.next_deadline() for end in self.ends] + [at for at, *_ in self._flying]
        return min((at for at in due if at is not None), default=None)

    def run(self, until: float) -> None:
        """Let pass what happens until then."""
        while (at := self._next()) is not None and at <= until:
            self.now = max(self.now, at)
            arrived = sorted(flight for flight in self._flying if flight[0] <= self.now)
            self._flying = [flight for flight in self._flying if flight[0] > self.now]
            for _, _, which, data in arrived:
                self.ends[which].receive(data, self.now)
            for end in self.ends:
                end.handle_timer(self.now)
            self._take()
        self.now = until

    def closed(self, which: int) -> Closed | None:
        """How an end was closed, if it was."""
        ends = [event for event in self.events[which] if isinstance(event, Closed)]
        assert len(ends) <= 1
        return ends[0] if ends else None

    def opened(self, which: int) -> Opened | None:
        """What an end has come to last."""
        found = [event for event in self.events[which] if isinstance(event, Opened)]
        return found[-1] if found else None
