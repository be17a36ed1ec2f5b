"""PPPoE discovery: the host's table, its life in scripts, and both roles against each other."""

from random import Random

import pytest

from router.ppp.concentrator import Admitted, Concentrator, Ended
from router.ppp.discovery import (
    LONGEST_NAME,
    SILENT,
    TRANSITIONS,
    Discovery,
    DiscoveryConfig,
    Event,
    State,
)
from router.wire.pppoe import BROADCAST, MAX_INITIATION, Code, Packet, Tag, TagKind

HOST, AC, OTHER = b"\x02\0\0\0\0\x01", b"\x02\0\0\0\0\xac", b"\x02\0\0\0\0\xad"
SESSION = 0x0BAD

# Transcribed from RFC 2516 sections 5 and 8. A dot leaves the state as it is.
TABLE = """
             start             offered            refused  confirmed  terminated  retry              restart           exhausted  close
IDLE         DISCOVERING/PADI  .                  .        .          .           .                  .                 .          CLOSED
DISCOVERING  .                 REQUESTING/PADR    .        .          .           DISCOVERING/PADI   .                 CLOSED     CLOSED
REQUESTING   .                 .                  CLOSED   OPEN       .           REQUESTING/PADR    DISCOVERING/PADI  CLOSED     CLOSED
OPEN         .                 .                  .        .          CLOSED      .                  .                 .          CLOSED/PADT
CLOSED       .                 .                  .        .          .           .                  .                 .          .
"""  # noqa: E501

NAMES = {
    "service": TagKind.SERVICE_NAME,
    "name": TagKind.AC_NAME,
    "uniq": TagKind.HOST_UNIQ,
    "cookie": TagKind.AC_COOKIE,
    "relay": TagKind.RELAY_SESSION_ID,
    "no-service": TagKind.SERVICE_NAME_ERROR,
    "trouble": TagKind.AC_SYSTEM_ERROR,
    "error": TagKind.GENERIC_ERROR,
    "vendor": TagKind.VENDOR_SPECIFIC,
    "1234": 0x1234,
}
WORDS = {kind: word for word, kind in NAMES.items()}


def a_packet(text: str, uniq: bytes, cookie: bytes = b"") -> bytes:
    """`PADS 0bad service= uniq`: code, session, tags; `uniq` and `cookie` alone have ours."""
    code, session, *tags = text.split()
    ours = {"uniq": uniq, "cookie": cookie}
    found = []
    for tag in tags:
        word, given, value = tag.partition("=")
        octets = value.replace("_", " ").encode() if given else ours[word]
        found.append(Tag(NAMES[word], octets))
    return Packet(Code[code], int(session, 16), Tag.build_all(found)).build()


def text_of(data: bytes) -> str:
    packet = Packet.parse(data)
    assert isinstance(packet, Packet)
    tags = Tag.parse_all(packet.payload)
    assert isinstance(tags, tuple)
    shown = [
        WORDS[tag.kind]
        + ("" if tag.kind in (NAMES["uniq"], NAMES["cookie"]) else f"={tag.value.decode()}")
        for tag in tags
    ]
    return " ".join((Code(packet.code).name, f"{packet.session:04x}", *shown))


class Host:
    """A discovery that is talked to in text; `told` has what it sends, and to whom."""

    def __init__(self, seed: int = 1, **options: object) -> None:
        config = DiscoveryConfig(**options)  # type: ignore[arg-type]
        self.machine = Discovery(config, rng=Random(seed))
        self.machine.start(0.0)
        (sent,) = self.machine.take_packets()
        self.first = sent
        packet = Packet.parse(sent[1])
        assert isinstance(packet, Packet)
        tags = Tag.parse_all(packet.payload)
        assert isinstance(tags, tuple)
        self.uniq = tags[1].value

    def hears(self, text: str, now: float = 0.0, source: bytes = AC) -> list[str]:
        self.machine.receive(source, a_packet(text, self.uniq), now)
        return self.told()

    def told(self) -> list[str]:
        names = {BROADCAST: "all", AC: "ac", OTHER: "other"}
        return [f"{names[to]}: {text_of(data)}" for to, data in self.machine.take_packets()]

    def waits_until(self, at: float) -> list[str]:
        assert self.machine.next_deadline() == at
        self.machine.handle_timer(at - 0.01)
        assert self.told() == []
        self.machine.handle_timer(at)
        return self.told()


def an_open_host() -> Host:
    host = Host()
    host.hears("PADO 0 name=ac service= uniq")
    host.hears(f"PADS {SESSION:x} service= uniq")
    assert host.machine.state is State.OPEN
    return host


def test_the_table_is_the_one_of_the_rfc() -> None:
    header, *rows = [line.split() for line in TABLE.strip().splitlines()]
    written = {
        (name, event): cell
        for name, *cells in rows
        for event, cell in zip(header, cells, strict=True)
    }
    in_force = {}
    for state in State:
        for event in Event:
            after, act = TRANSITIONS[state][event]
            cell = after.name + (f"/{act.value}" if act.value else "")
            in_force[state.name, event.value] = "." if cell == state.name else cell
    assert written == in_force


def test_a_session_is_found_and_ended() -> None:
    host = Host()
    assert (host.first[0], text_of(host.first[1])) == (BROADCAST, "PADI 0000 service= uniq")
    assert host.hears("PADO 0 name=ac service= uniq") == ["ac: PADR 0000 service= uniq"]
    assert host.hears("PADS 0bad service= uniq") == []
    found = host.machine
    assert (found.state, found.session, found.concentrator) == (State.OPEN, SESSION, AC)
    assert found.next_deadline() is None
    found.close(9.0)
    assert host.told() == ["ac: PADT 0bad"]
    assert (found.state, found.why) == (State.CLOSED, "hung up by us")


def test_cookie_and_relay_go_back_as_they_came() -> None:
    host = Host()
    offer = "PADO 0 relay=via uniq name=ac vendor=x cookie=c00kie 1234=? service= service=more"
    expected = ["ac: PADR 0000 service= uniq relay=via cookie"]
    assert host.hears(offer) == expected
    assert b"c00kie" in a_packet("PADO 0 cookie=c00kie", b"")
    assert host.waits_until(1.0) == expected  # also when asked once more
    host.hears("PADS 0bad service= uniq relay=via")
    host.machine.close(2.0)
    assert host.told() == ["ac: PADT 0bad relay=via"]


def test_the_cookie_is_returned_to_the_octet() -> None:
    host = Host()
    cookie = bytes(range(256))
    tags = (Tag(TagKind.AC_NAME, b"ac"), Tag(TagKind.SERVICE_NAME, b""))
    own = (Tag(TagKind.HOST_UNIQ, host.uniq), Tag(TagKind.AC_COOKIE, cookie))
    host.machine.receive(AC, Packet(Code.PADO, 0, Tag.build_all(tags + own)).build(), 0.0)
    ((_, request),) = host.machine.take_packets()
    assert Tag.build_all(own[1:]) in request


def test_a_service_and_a_concentrator_are_chosen() -> None:
    host = Host(service="internet", concentrator="right")
    assert text_of(host.first[1]) == "PADI 0000 service=internet uniq"
    assert host.hears("PADO 0 name=wrong service=internet uniq", source=OTHER) == []
    assert host.hears("PADO 0 name=right service= service=iptv uniq") == []
    assert host.hears("PADO 0 name=right service= service=internet uniq") == [
        "ac: PADR 0000 service=internet uniq"
    ]


def test_the_first_offer_that_suits_is_taken() -> None:
    host = Host()
    host.hears("PADO 0 name=ac service= uniq")
    assert host.hears("PADO 0 name=other service= uniq", source=OTHER) == []
    assert host.hears("PADS 0bad service= uniq", source=OTHER) == []
    assert host.machine.state is State.REQUESTING


@pytest.mark.parametrize(
    "text",
    [
        "PADO 0 name=ac service=",  # without our Host-Uniq
        "PADO 0 name=ac service= uniq=another",
        "PADO 0 service= uniq",  # without a name
        "PADO 1 name=ac service= uniq",
        "PADS 0bad service= uniq",  # nothing was asked of it
        "PADI 0 service= uniq",
        "PADR 0 service= uniq",
        "PADT 0 uniq",
        "SESSION 0 name=ac service= uniq",
    ],
)
def test_what_is_no_offer(text: str) -> None:
    host = Host()
    assert host.hears(text) == []
    assert host.machine.state is State.DISCOVERING


def test_an_offer_from_a_group_address_is_none() -> None:
    assert Host().hears("PADO 0 name=ac service= uniq", source=BROADCAST) == []


@pytest.mark.parametrize(
    "text",
    [
        "PADS 0bad service=",
        "PADS 0bad service= uniq=another",
        "PADO 0 name=ac service= uniq",
        "PADT 0 uniq",
        "PADT 0bad uniq",
    ],
)
def test_what_is_no_confirmation(text: str) -> None:
    host = Host()
    host.hears("PADO 0 name=ac service= uniq")
    assert host.hears(text) == []
    assert host.machine.state is State.REQUESTING


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ("PADT 0bae", AC),
        ("PADT 0bad", OTHER),
        ("PADT 0 uniq", AC),
        ("PADS 0bae service= uniq", AC),
        ("PADS 0 error= uniq", AC),
        ("PADO 0 name=ac service= uniq", OTHER),
    ],
)
def test_what_does_not_concern_an_open_session(text: str, source: bytes) -> None:
    host = an_open_host()
    assert host.hears(text, source=source) == []
    assert (host.machine.state, host.machine.session) == (State.OPEN, SESSION)


@pytest.mark.parametrize(
    ("tags", "why"),
    [
        ("", "hung up by the access concentrator"),
        ("error=going_down", "hung up by the access concentrator: going down"),
        ("uniq=who? trouble=", "hung up by the access concentrator"),
    ],
)
def test_hung_up_by_the_concentrator(tags: str, why: str) -> None:
    host = an_open_host()
    assert host.hears(f"PADT 0bad {tags}") == []
    assert (host.machine.state, host.machine.why) == (State.CLOSED, why)
    host.machine.close(1.0)
    assert host.told() == []  # a session that is over is not ended again
    assert host.machine.why == why


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("PADS 0 no-service= uniq", "the access concentrator refuses the service"),
        (
            "PADS 0 no-service=not_paid uniq",
            "the access concentrator refuses the service: not paid",
        ),
        (
            "PADS 0 service= uniq trouble=all_taken",
            "the access concentrator cannot serve us: all taken",
        ),
        ("PADS 0bad uniq error=odd", "the access concentrator reports an error: odd"),
        ("PADS 0 uniq error=\0\1\2", "the access concentrator reports an error"),
        ("PADS 0 uniq error=a\x1b[2Jb", "the access concentrator reports an error: a?[2Jb"),
        ("PADS 0 service= uniq", "the access concentrator confirms a session and names none"),
        (
            "PADS ffff service= uniq",
            "the access concentrator confirms a session and names none",
        ),
    ],
)
def test_refusals(text: str, why: str) -> None:
    host = Host()
    host.hears("PADO 0 name=ac service= uniq")
    assert host.hears(text) == []
    assert (host.machine.state, host.machine.why) == (State.CLOSED, why)


def test_what_a_concentrator_says_is_bounded() -> None:
    host = Host()
    host.hears("PADO 0 name=ac service= uniq")
    host.hears(f"PADS 0 uniq error={'x' * 1400}")
    assert len(host.machine.why) < 300


def test_nobody_answers() -> None:
    host = Host()
    asked = ["all: PADI 0000 service= uniq"]
    assert [host.waits_until(at) for at in (1.0, 3.0, 7.0, 15.0)] == [asked] * 4
    assert host.waits_until(31.0) == []
    assert (host.machine.state, host.machine.why) == (State.CLOSED, SILENT)
    assert host.machine.next_deadline() is None


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (
            "PADO 0 name=wrong service=internet uniq",
            "no access concentrator answers to the name right",
        ),
        (
            "PADO 0 name=right service=iptv uniq",
            "no access concentrator offers the service internet",
        ),
        (
            "PADO 0 name=right uniq trouble=full",
            "the access concentrator cannot serve us: full",
        ),
    ],
)
def test_nobody_answers_as_wanted(text: str, why: str) -> None:
    host = Host(service="internet", concentrator="right", initiations=1)
    host.hears(text)
    assert host.machine.state is State.DISCOVERING
    assert host.waits_until(1.0) == []
    assert host.machine.why == why


def test_one_that_is_full_does_not_keep_us_from_another() -> None:
    host = Host()
    host.hears("PADO 0 name=full uniq trouble=full", source=OTHER)
    assert host.hears("PADO 0 name=ac service= uniq") == ["ac: PADR 0000 service= uniq"]


def test_a_lost_request_is_repeated_and_then_all_are_asked_again() -> None:
    host = Host(initiations=2)
    host.hears("PADO 0 name=ac service= uniq", now=0.5)
    asked = ["ac: PADR 0000 service= uniq"]
    assert [host.waits_until(at) for at in (1.5, 3.5)] == [asked] * 2
    assert host.waits_until(7.5) == ["all: PADI 0000 service= uniq"]
    assert host.hears("PADS 0bad service= uniq", now=8.0) == []  # too late: it may be gone
    other = host.hears("PADO 0 name=other service= uniq", now=8.0, source=OTHER)
    assert other == ["other: PADR 0000 service= uniq"]
    host.hears("PADS 7 service= uniq", now=8.1, source=OTHER)
    assert (host.machine.session, host.machine.concentrator) == (7, OTHER)


def test_one_that_offers_and_never_confirms_is_left_at_last() -> None:
    host, requests = Host(), 0
    while host.machine.state is not State.CLOSED:
        requests += len(host.hears("PADO 0 name=ac service= uniq"))
        at = host.machine.next_deadline()
        assert at is not None
        assert at < 60.0
        host.machine.handle_timer(at)
        requests += sum("PADR" in line for line in host.told())
    assert requests == 5 * 3
    assert host.machine.why == "the access concentrator offers sessions and confirms none"


@pytest.mark.parametrize("state", [State.DISCOVERING, State.REQUESTING])
def test_broken_off_it_says_nothing(state: State) -> None:
    host = Host()
    if state is State.REQUESTING:
        host.hears("PADO 0 name=ac service= uniq")
    assert host.machine.state is state
    host.machine.close(0.1)
    assert (host.told(), host.machine.next_deadline()) == ([], None)
    assert host.hears("PADO 0 name=ac service= uniq") == []


def test_another_search_is_told_from_this_one() -> None:
    assert Host(seed=1).uniq != Host(seed=2).uniq


@pytest.mark.parametrize("data", [b"", b"\x11\x07\0\0\0\x04", b"\x11\x07\0\0\0\x01\0"])
def test_no_packets_are_counted(data: bytes) -> None:
    host = Host()
    host.machine.receive(AC, data, 0.0)
    assert (host.machine.malformed, host.machine.state) == (1, State.DISCOVERING)


def test_the_longest_service_leaves_room_for_a_relay() -> None:
    assert len(Host(service="x" * LONGEST_NAME).first[1]) == MAX_INITIATION
    with pytest.raises(ValueError, match="1462 octets"):
        DiscoveryConfig(service="ü" * (LONGEST_NAME // 2 + 1))


class Site:
    """A concentrator that is talked to in text by hosts that know their cookies."""

    def __init__(self, **options: object) -> None:
        self.machine = Concentrator("ac", rng=Random(1), **options)  # type: ignore[arg-type]

    def hears(self, text: str, source: bytes = HOST, cookie: bytes | None = None) -> list[str]:
        if cookie is None:
            cookie = self.cookie_of(source)
        self.machine.receive(source, a_packet(text, b"host", cookie))
        packets = self.machine.take_packets()
        assert all(to == source for to, _ in packets)
        return [text_of(data) for _, data in packets]

    def cookie_of(self, source: bytes) -> bytes:
        self.machine.receive(source, a_packet("PADI 0 service=", b""))
        ((_, offer),) = self.machine.take_packets()
        packet = Packet.parse(offer)
        assert isinstance(packet, Packet)
        tags = Tag.parse_all(packet.payload)
        assert isinstance(tags, tuple)
        return tags[-1].value

    def admits(self, source: bytes = HOST) -> int:
        self.hears("PADR 0 service= uniq cookie", source)
        (event,) = self.machine.take_events()
        assert isinstance(event, Admitted)
        assert event.host == source
        return event.session


# What it hears while the host has no session, and while it has one; `S` is its number.
@pytest.mark.parametrize(
    ("heard", "without", "having"),
    [
        ("PADI 0 service= uniq", "PADO 0000 name=ac service= service=iptv cookie uniq", "="),
        ("PADI 0 service=iptv", "PADO 0000 name=ac service=iptv service= cookie", "="),
        ("PADI 0 service= relay=via uniq",
         "PADO 0000 name=ac service= service=iptv cookie relay=via uniq", "="),
        ("PADI 0 service=other uniq", "", "="),
        ("PADI 0 uniq", "", "="),
        ("PADI 0 service= service=iptv uniq", "", "="),
        ("PADI 1 service= uniq", "", "="),
        ("PADR 0 service= uniq cookie",
         "PADS S service= name=ac uniq / admitted", "PADS S service= name=ac uniq"),
        ("PADR 0 service=iptv relay=via uniq cookie",
         "PADS S service=iptv name=ac relay=via uniq / admitted",
         "PADS S service=iptv name=ac relay=via uniq"),
        ("PADR 0 service=other uniq cookie", "PADS 0000 no-service= name=ac uniq", "="),
        ("PADR 0 uniq cookie", "PADS 0000 no-service= name=ac uniq", "="),
        ("PADR 0 service= uniq=second cookie", "PADS S service= name=ac uniq / admitted",
         "PADS 0000 trouble=all sessions are taken name=ac uniq"),
        ("PADR 0 service= uniq", "", "="),
        ("PADR 0 service= uniq cookie=guess", "", "="),
        ("PADR 1 service= uniq cookie", "", "="),
        ("PADT S", "", "/ ended"),
        ("PADT ffff", "", "="),
        ("PADO 0 name=x service= uniq", "", "="),
        ("PADS 5 service= uniq", "", "="),
    ],
)  # fmt: skip
def test_the_table_of_the_concentrator(heard: str, without: str, having: str) -> None:
    for has_session, expected in ((False, without), (True, having)):
        site = Site(services=("iptv",), limit=1)
        session = site.admits() if has_session else 0x77
        answer = site.hears(heard.replace(" S", f" {session:x}"))
        events = site.machine.take_events()
        if events and isinstance(events[0], Admitted):
            session = events[0].session
        told = [type(event).__name__.lower() for event in events]
        shown = " / ".join((*answer, *told)) if answer else "".join(f"/ {it}" for it in told)
        expected = without if expected == "=" else expected
        assert shown == expected.replace(" S ", f" {session:04x} ")


def test_a_stranger_does_not_end_a_session() -> None:
    site = Site()
    session = site.admits()
    site.hears(f"PADT {session:x}", source=OTHER)
    assert (site.machine.take_events(), site.machine.hosts) == ([], {session: HOST})


def test_a_cookie_is_for_one_host() -> None:
    site = Site()
    cookie = site.cookie_of(OTHER)
    assert site.hears("PADR 0 service= uniq cookie", cookie=cookie) == []


def test_sessions_are_unique_and_none_is_reserved() -> None:
    class Stubborn:
        """Draws the last number there is, each time."""

        def randrange(self, _start: int, stop: int) -> int:
            return stop - 1

    site = Site()
    site.machine = Concentrator("ac", rng=Stubborn())
    hosts = [bytes((2, 0, 0, 0, 0, number)) for number in range(4)]
    assert [site.admits(host) for host in hosts] == [0xFFFE, 1, 2, 3]


def test_it_hangs_up_and_says_why() -> None:
    site = Site()
    session = site.admits()
    site.machine.terminate(session, "going down")
    ((to, data),) = site.machine.take_packets()
    assert (to, text_of(data)) == (HOST, f"PADT {session:04x} error=going down")
    assert site.machine.take_events() == [Ended(session, "going down")]
    site.machine.terminate(session)
    assert (site.machine.take_packets(), site.machine.take_events()) == ([], [])


def test_a_host_says_why_it_hangs_up() -> None:
    site = Site()
    session = site.admits()
    site.hears(f"PADT {session:x} error=battery_low")
    assert site.machine.take_events() == [Ended(session, "battery low")]


def test_no_packets_are_counted_there() -> None:
    site = Site()
    site.machine.receive(HOST, b"\x11\x09")
    site.machine.receive(HOST, Packet(Code.PADI, 0, b"\1").build())
    assert site.machine.malformed == 2


def test_both_roles_agree_on_a_wire_that_loses_and_repeats() -> None:
    for seed in range(200):
        rng = Random(seed)
        host = Discovery(DiscoveryConfig(service="iptv"), rng=rng)
        site = Concentrator("ac", rng=rng, services=("iptv",))
        host.start(0.0)
        now = 0.0
        while host.state in (State.DISCOVERING, State.REQUESTING):
            wire = [(HOST, data) for _, data in host.take_packets()]
            while wire:
                source, data = wire.pop(rng.randrange(len(wire)))
                for _ in range(rng.choice((0, 1, 1, 2))):
                    if source == HOST:
                        site.receive(HOST, data)
                    else:
                        host.receive(AC, data, now)
                wire += [(AC, data) for _, data in site.take_packets()]
                wire += [(HOST, data) for _, data in host.take_packets()]
            if (deadline := host.next_deadline()) is not None:
                now = deadline
                host.handle_timer(now)
        assert host.state is State.OPEN or now >= 31.0
        if host.state is State.OPEN:
            assert site.hosts == {host.session: HOST}
            host.close(now)
            ((_, data),) = host.take_packets()
            site.receive(HOST, data)
            assert site.hosts == {}
