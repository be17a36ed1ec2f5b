"""What waits for a slow line: who is next, for how long anything waits, and what is dropped."""

import itertools
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from router.ppp.backlog import LONGEST_PACKETS, LONGEST_S, Backlog, Cause
from tests.lab.packets import VNET_LENGTH, fragments, ping, tcp, udp
from tests.lab.slowline import FULL, SlowLine, flow_of, number_of, packet, upload

MODEM, ISDN, DSL = 33_600, 128_000, 10_000_000  # bit/s
SMALL = 100  # octets

WEB = "192.168.1.11:4000 > 198.51.100.10:80"
DNS = "192.168.1.11:5000 > 198.51.100.53:53"


def put_all(backlog: Backlog, script: str, now: float = 0.0) -> None:
    """A letter is a packet of that flow, a capital a full one."""
    for number, letter in enumerate(script):
        size = FULL if letter.isupper() else SMALL
        backlog.put(packet(letter.lower(), number, size), now)


def drained(backlog: Backlog, now: float = 0.0) -> Iterator[bytes]:
    while (one := backlog.take(now)) is not None:
        yield one


def order(backlog: Backlog, now: float = 0.0) -> str:
    letters = ((flow_of(one), len(one)) for one in drained(backlog, now))
    return "".join(flow.upper() if size == FULL else flow for flow, size in letters)


def flood(line: SlowLine, flow: str, rate: float, until: float, size: int = FULL) -> None:
    """Have packets of a flow come at a rate, whatever becomes of them."""
    numbers = itertools.count()
    line.every(size * 8 / rate, lambda: line.put(packet(flow, next(numbers), size)), until=until)


def known(rate: float) -> SlowLine:
    """A line whose rate is known, at rest."""
    line = SlowLine(rate, Backlog())
    for number in range(max(8, round(0.2 / line.packet_s))):
        line.put(packet("z", number))
    line.run(until=10.0)
    assert not line.backlog
    line.sent.clear()
    line.backlog.dropped.clear()
    return line


# Flows and turns


def bare(frames: list[bytes]) -> list[bytes]:
    return [frame[VNET_LENGTH:] for frame in frames]


_PIECES = fragments(udp(DNS, bytes(2400), flags="", id=1), 1500)


@pytest.mark.parametrize(
    ("what", "bulk", "other", "is_same"),
    [
        ("a connection", tcp(f"{WEB} A"), tcp(f"{WEB} PA", b"x", id=2), True),
        ("another port", tcp(f"{WEB} A"), tcp(f"{WEB.replace('4000', '4001')} A"), False),
        ("another server's port", tcp(f"{WEB} A"), tcp(f"{WEB}80 A"), False),
        ("another host", udp(DNS), udp(DNS.replace(".11", ".12")), False),
        ("another server", udp(DNS), udp(DNS.replace(".53:", ".54:")), False),
        ("another protocol", tcp(f"{DNS} A"), udp(DNS), False),
        ("behind options", tcp(f"{WEB} A"), tcp(f"{WEB} A", options=b"\x94\x04\0\0"), True),
        ("pings of a host", ping("1.2.3.4 > 5.6.7.8"), ping("1.2.3.4 > 5.6.7.8", seq=9), True),
        ("pings of two hosts", ping("1.2.3.4 > 5.6.7.8"), ping("1.2.3.5 > 5.6.7.8"), False),
        ("a datagram's fragments", _PIECES[0], _PIECES[1], True),
        ("a datagram and fragments", udp(DNS), _PIECES[0], False),
        ("what is not to be fragmented", udp(DNS, flags="DF"), udp(DNS, flags=""), True),
    ],
)
def test_a_flow_is_addresses_protocol_and_ports(
    what: str, bulk: bytes, other: bytes, is_same: bool
) -> None:
    """A flow that is new goes before one that has had its turn, and never before itself."""
    first, other = bare([bulk, other])
    backlog = Backlog()
    padded = first.ljust(FULL, b"\0")
    for one in (padded, padded, other):
        backlog.put(one, 0.0)
    expected = [padded, padded, other] if is_same else [padded, other, padded]
    assert list(drained(backlog)) == expected, what


@pytest.mark.parametrize("octets", [b"", b"\x45", b"\x45" + bytes(18), b"\x60" + bytes(60)])
def test_what_is_no_ipv4_packet_is_one_flow_of_its_own(octets: bytes) -> None:
    backlog = Backlog()
    put_all(backlog, "AA")
    for _ in range(3):
        backlog.put(octets, 0.0)
    assert backlog.take(0.0) == packet("a", 0)
    assert [backlog.take(0.0) for _ in range(3)] == [octets] * 3
    assert [number_of(one) for one in drained(backlog)] == [1]


def test_a_header_that_ends_before_its_ports_is_no_error() -> None:
    backlog = Backlog()
    cut = tcp(f"{WEB} A")[VNET_LENGTH:][:20]
    backlog.put(cut, 0.0)
    backlog.put(b"\x4f" + cut[1:], 0.0)
    assert list(drained(backlog)) == [cut, b"\x4f" + cut[1:]]


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("", ""),
        ("AAA", "AAA"),
        ("AAAb", "AbAA"),
        ("AABB", "ABAB"),
        ("AAAbbb", "AbbbAA"),
        ("AAABBBCCC", "ABACBACBC"),
        ("AA" + "b" * 30, "A" + "b" * 15 + "A" + "b" * 15),
        ("AAbcde", "AbcdeA"),
        ("AAA" + "BCDEF", "ABACADEF"),
    ],
)
def test_new_flows_go_first_and_all_have_their_turns(script: str, expected: str) -> None:
    backlog = Backlog()
    put_all(backlog, script)
    assert order(backlog) == expected
    assert (len(backlog), backlog.octets, backlog.take(0.0)) == (0, 0, None)


def test_a_flow_that_has_gone_empty_is_not_new_again_at_once() -> None:
    backlog = Backlog()
    put_all(backlog, "AAABBBCCC")

    def take(count: int) -> str:
        return "".join(flow_of(backlog.take(0.0) or b"") for _ in range(count))

    take(4)
    put_all(backlog, "x")
    assert take(3) == "bxa"
    put_all(backlog, "x")
    assert order(backlog) == "CxBC", "it has its turn, behind those it had passed"
    put_all(backlog, "AAx")
    assert order(backlog) == "AxA", "it was forgotten in between"


def test_a_storm_of_new_flows_halves_an_upload_and_does_not_stop_it() -> None:
    backlog = Backlog()
    put_all(backlog, "A" * 21)
    backlog.take(0.0)
    ports = itertools.count(1000)
    octets: Counter[str] = Counter()
    for _ in range(300):
        backlog.put(packet(chr(next(ports)), size=SMALL), 0.0)
        one = backlog.take(0.0) or b""
        octets["upload" if len(one) == FULL else "storm"] += len(one)
    assert octets["upload"] == pytest.approx(octets["storm"], rel=0.1)
    assert len(backlog._flows) < 100


# Waiting


@pytest.mark.parametrize("rate", [MODEM, ISDN, DSL])
@pytest.mark.parametrize(("uploads", "packets"), [("a", 1.1), ("abc", 2.1)])
def test_a_ping_waits_for_the_packet_that_is_sent_and_hardly_longer(
    rate: float, uploads: str, packets: float
) -> None:
    line = SlowLine(rate, Backlog())
    upload(line, uploads, 5 * line.packet_s)
    line.run(until=5 * line.packet_s)
    numbers = itertools.count()
    span_s = 9.7 * line.packet_s
    end = 400 * line.packet_s
    line.every(span_s, lambda: line.put(packet("ping", next(numbers), 84)), until=end)
    line.run(until=end + 10 * line.packet_s)
    waits = line.waits("ping")
    assert len(waits) == next(numbers) > 30
    assert max(waits) <= packets * line.packet_s
    assert line.share("a") > 0.9 / len(uploads)


def test_keystrokes_pass_an_upload_however_fast_they_come() -> None:
    line = SlowLine(MODEM, Backlog())
    upload(line, "a", 0.1)
    line.run(until=2.0)
    flood(line, "k", rate=52 * 8 / 0.15, until=60.0, size=52)
    line.run(until=62.0)
    assert len(line.waits("k")) == 387
    assert max(line.waits("k")) <= 2 * line.packet_s


@pytest.mark.parametrize("sizes", [(1500, 1500), (1500, 300), (1100, 1500)])
def test_two_floods_share_the_line_by_octets(sizes: tuple[int, int]) -> None:
    line = SlowLine(MODEM, Backlog())
    for flow, size in zip("ab", sizes, strict=True):
        flood(line, flow, 2 * MODEM, until=120.0, size=size)
    line.run(until=120.0)
    assert line.share("a") == pytest.approx(0.5, rel=0.03)
    assert line.share("b") == pytest.approx(0.5, rel=0.03)


@pytest.mark.parametrize(("rate", "span_s"), [(MODEM, 240.0), (ISDN, 60.0), (DSL, 10.0)])
def test_two_uploads_share_the_line(rate: float, span_s: float) -> None:
    line = SlowLine(rate, Backlog())
    upload(line, "ab", 0.02)
    line.run(until=span_s)
    assert line.share("a", span_s / 10) == pytest.approx(line.share("b", span_s / 10), rel=0.03)


# (rate, round trip without the line, how long, packets taken in a row), and the longest wait
# in packets once the first window has gone: what is halved is no longer than the round trip.
_UPLOADS = [
    (MODEM, 0.05, 120.0, 1, 3),
    (MODEM, 0.2, 120.0, 1, 3),
    (MODEM, 0.4, 120.0, 1, 3),
    (MODEM, 0.2, 120.0, 3, 4),
    (ISDN, 0.05, 60.0, 1, 3),
    (ISDN, 0.2, 60.0, 1, 4),
    (DSL, 0.01, 20.0, 1, 20),
    (DSL, 0.03, 20.0, 1, 20),
]


@pytest.mark.parametrize(("rate", "round_trip_s", "span_s", "bunch", "packets"), _UPLOADS)
def test_an_upload_keeps_the_line_full_and_its_queue_short(
    rate: float, round_trip_s: float, span_s: float, bunch: int, packets: int
) -> None:
    line = SlowLine(rate, Backlog(), bunch=bunch)
    sender = upload(line, "a", round_trip_s)["a"]
    line.run(until=span_s)
    assert line.share("a", since=span_s / 10) >= 0.97
    assert max(line.waits("a", since=span_s / 10)) <= packets * line.packet_s
    assert sender.losses > 0, "what was dropped is what made it heed the line"
    assert sender.silences == 0, "no loss was more than one window's news"


@pytest.mark.parametrize("flows", ["a", "ab", "abcd"])
@pytest.mark.parametrize("rate", [MODEM, ISDN, DSL])
def test_uploads_together_lose_no_more_than_they_must(rate: float, flows: str) -> None:
    line = SlowLine(rate, Backlog())
    uploads = upload(line, flows, 0.02)
    span_s = 700 * line.packet_s
    line.run(until=span_s)
    assert sum(line.share(flow, since=span_s / 10) for flow in flows) >= 0.97
    assert sum(line.backlog.dropped.values()) < 0.2 * len(line.sent)
    assert not any(sender.silences for sender in uploads.values())


@pytest.mark.parametrize("rate", [MODEM, ISDN])
@pytest.mark.parametrize("times", [1.2, 2, 10, 100])
def test_a_flood_waits_no_longer_than_it_may_and_costs_nobody_else(
    rate: float, times: float
) -> None:
    line = SlowLine(rate, Backlog())
    flood(line, "f", times * rate, until=60.0)
    flood(line, "k", rate=52 * 8 / 0.5, until=60.0, size=52)
    line.run(until=60.0)
    longest_s = max(LONGEST_S, 2 * LONGEST_PACKETS * line.packet_s)
    assert max(line.waits("f")) <= longest_s
    assert max(line.waits("k")) <= 1.1 * line.packet_s
    assert line.share("f") + line.share("k") > 0.97


def test_a_flood_that_is_no_torrent_is_held_to_its_target() -> None:
    line = SlowLine(MODEM, Backlog())
    flood(line, "f", 2 * MODEM, until=120.0)
    line.run(until=120.0)
    lately = line.waits("f", since=60.0)
    assert sum(lately) / len(lately) < 2 * line.packet_s
    assert set(line.backlog.dropped) == {Cause.DELAY}


# What is dropped for its delay


def test_nothing_is_dropped_for_its_delay_before_the_rate_is_known() -> None:
    backlog = Backlog()
    put_all(backlog, "A" * 40)
    assert order(backlog, now=100.0) == "A" * 40
    assert not backlog.dropped


def test_no_flow_with_one_packet_waiting_loses_any_however_long_it_takes() -> None:
    line = known(MODEM)
    line.at(10.0, lambda: [line.put(packet(flow)) for flow in "abcdefghijklmnop"] and None)
    line.run(until=30.0)
    assert "".join(sent.flow for sent in line.sent) == "abcdefghijklmnop"
    assert max(sent.waited_s for sent in line.sent) > 5
    assert not line.backlog.dropped


def test_a_burst_that_leaves_soon_is_let_through() -> None:
    line = known(ISDN)
    line.at(10.0, lambda: [line.put(packet("a", number)) for number in range(3)] and None)
    line.run(until=12.0)
    assert len(line.sent) == 3
    assert not line.backlog.dropped


def test_after_a_line_stood_still_the_newest_of_each_flow_is_left() -> None:
    line = known(MODEM)
    backlog = line.backlog
    for second in range(5):
        put_all(backlog, "aaBq", now=10.0 + second)
    assert Counter(flow_of(one) for one in drained(backlog, now=60.0)) == {"a": 1, "b": 1, "q": 1}
    assert backlog.dropped == {Cause.LATE: 17}


def drops(backlog: Backlog, since: float, span_s: float) -> list[float]:
    """Have fifty packets wait that came too long ago; return when one was dropped, from 0 on."""
    instants: list[float] = []
    for tick in range(round(span_s * 1000)):
        now = since + tick / 1000
        while len(backlog) < 50:
            backlog.put(packet("a"), now - 0.05)
        before = backlog.dropped[Cause.DELAY]
        backlog.take(now)
        instants += [now - since] * (backlog.dropped[Cause.DELAY] - before)
    return instants


def gaps(instants: list[float]) -> list[float]:
    return [later - earlier for earlier, later in itertools.pairwise(instants)]


def test_drops_come_ever_faster_and_begin_an_interval_after_it_was_too_long() -> None:
    first, *rest = gaps([0.0, *drops(known(DSL).backlog, 20.0, 2.0)])
    assert first == pytest.approx(0.1, abs=0.01)
    assert rest[:4] == pytest.approx([0.1 / n**0.5 for n in (1, 2, 3, 4)], abs=0.006)
    assert rest[-1] < 0.03


@pytest.mark.parametrize(("calm_s", "least_s", "most_s"), [(0.5, 0.0, 0.03), (10.0, 0.08, 0.12)])
def test_after_a_short_calm_drops_are_as_frequent_as_they_had_to_be(
    calm_s: float, least_s: float, most_s: float
) -> None:
    backlog = known(DSL).backlog
    at = 20.0
    assert drops(backlog, at, 2.0)[0] > 0.09
    at += 2.0
    while len(backlog) > 2:
        backlog.put(packet("a"), at)
        backlog.take(at)
        backlog.take(at)
    backlog.put(packet("a"), at + calm_s)
    again = drops(backlog, at + calm_s, 0.5)
    assert again[0] > 0.09, "none at once"
    assert least_s <= gaps(again)[0] <= most_s


# Room


@pytest.mark.parametrize(
    ("script", "taken", "full"),
    [
        ("aaaa", "aaaa", 0),
        ("aaaaaa", "aaaa", 2),
        ("aaab", "aaab", 0),
        ("aaaab", "aaab", 1),
        ("abcd", "abcd", 0),
        ("abcde", "abcd", 1),
        ("abcda", "abcd", 1),
        ("aabcd", "abcd", 1),
        ("AAbbc", "Abbc", 1),
        ("Abbb" + "b", "Abbb", 1),
        ("Abbb" + "c", "Abbc", 1),
    ],
)
def test_a_full_backlog_costs_whoever_holds_most_its_oldest(
    script: str, taken: str, full: int
) -> None:
    backlog = Backlog(limit_packets=4)
    put_all(backlog, script)
    assert "".join(sorted(order(backlog))) == "".join(sorted(taken))
    assert backlog.dropped == Counter({Cause.FULL: full} if full else {})


def test_the_oldest_goes_so_that_the_sender_hears_of_it_soonest() -> None:
    backlog = Backlog(limit_packets=3)
    put_all(backlog, "aaaaa")
    assert [number_of(one) for one in drained(backlog)] == [2, 3, 4]


def test_octets_are_bounded_as_packets_are() -> None:
    backlog = Backlog(limit_octets=4 * FULL)
    put_all(backlog, "AAAA" + "b")
    assert backlog.octets == 3 * FULL + SMALL
    put_all(backlog, "CC")
    assert backlog.octets == 3 * FULL + SMALL
    assert order(backlog) == "AbCC"
    assert backlog.dropped == {Cause.FULL: 3}


def test_a_packet_that_alone_is_too_large_costs_nobody_anything() -> None:
    backlog = Backlog(limit_octets=1000)
    put_all(backlog, "aaaA")
    assert order(backlog) == "aaa"
    assert backlog.dropped == {Cause.FULL: 1}


def test_a_scan_that_fills_it_up_leaves_nothing_behind() -> None:
    backlog = Backlog(limit_packets=50)
    for port in range(1, 2000):
        backlog.put(packet(chr(port), size=SMALL), 0.0)
    assert len(backlog._flows) == len(backlog) == 50
    assert len(list(drained(backlog))) == 50
    assert not backlog._flows


def test_a_packet_costs_no_more_when_many_flows_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    lane, steps = Backlog._lane, 0

    def counted(backlog: Backlog) -> Any:
        nonlocal steps
        steps += 1
        return lane(backlog)

    backlog = Backlog()
    for number in range(900):
        backlog.put(packet(chr(1 + number % 600), number, 1000), 0.0)
    monkeypatch.setattr(Backlog, "_lane", counted)
    waiting = len(backlog)
    assert len(list(drained(backlog))) == waiting == 900
    assert steps <= 4 * waiting


# The end


def test_what_waits_when_the_line_goes_down_is_dropped() -> None:
    line = known(MODEM)
    backlog = line.backlog
    put_all(backlog, "AAAbcD", now=10.0)
    backlog.clear()
    assert (len(backlog), backlog.octets, backlog.take(11.0)) == (0, 0, None)
    assert backlog.dropped == {Cause.ENDED: 6}
    put_all(backlog, "A" * 40, now=12.0)
    assert order(backlog, now=100.0) == "A" * 40, "the next line may have another rate"
