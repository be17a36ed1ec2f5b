"""What the router says in its own name, and when it keeps silent."""

import struct

import pytest
from scapy.layers.inet import IP, TCP

from router.answers import Answers
from router.arrival import Arrival, check
from router.devices import Side
from router.wire.address import parse_address
from router.wire.ipv4 import IPv4
from tests.lab.packets import (
    PLAIN,
    VNET_LENGTH,
    describe,
    error,
    fragments,
    frame,
    ping,
    tcp,
    udp,
    wrong_checksums,
)

HOST, ROUTER, FAR = "192.168.1.11", "192.168.1.1", "198.51.100.10"
PROBE = udp(f"{HOST}:4000 > {FAR}:53", bytes(range(64)), tos=0x10)
GRE = frame(IP(src=HOST, dst=ROUTER, proto=47) / b"data")


def view(whole: bytes) -> IPv4:
    packet = IPv4.parse(bytearray(whole), VNET_LENGTH, len(whole))
    assert isinstance(packet, IPv4)
    return packet


def about(whole: bytes, answers: Answers | None = None, now: float = 0, mtu: int = 0) -> bytes:
    answers = answers or Answers(100)
    source = parse_address(ROUTER)
    return answers.error(Side.LAN, source, view(whole), 3, 4, now=now, mtu=mtu) or b""


def local(whole: bytes) -> str | None:
    arrival = check(bytearray(whole), len(whole), Side.LAN, 0)
    assert isinstance(arrival, Arrival)
    answer = Answers(100).local(arrival)
    if answer is None:
        return None
    assert wrong_checksums(answer) == []
    return describe(PLAIN + answer)


def test_an_error_quotes_the_packet_and_goes_to_its_sender() -> None:
    answer = about(PROBE, mtu=1280)
    assert wrong_checksums(answer) == []
    assert describe(PLAIN + answer) == (
        f"fragmentation-needed {ROUTER} > {HOST} (udp {HOST}:4000 > {FAR}:53)"
    )
    assert answer[24:28] == struct.pack("!HH", 0, 1280)
    assert answer[28:] == PROBE[VNET_LENGTH:]


def test_an_error_has_internetwork_control_precedence() -> None:
    assert IP(about(PROBE)).tos == 0xC0


@pytest.mark.parametrize("size", [0, 519, 520, 521, 1472])
def test_an_error_is_no_longer_than_576_bytes(size: int) -> None:
    answer = about(udp(f"{HOST}:4000 > {FAR}:53", bytes(size)))
    assert len(answer) == min(576, 20 + 8 + 20 + 8 + size)
    assert wrong_checksums(answer) == []


@pytest.mark.parametrize(
    "name", ["port-unreachable", "time-exceeded", "redirect", "source-quench", "parameter-problem"]
)
def test_no_error_about_an_error(name: str) -> None:
    assert about(error(HOST, PROBE, name)) == b""


@pytest.mark.parametrize("type_", [9, 10, 17, 30, 255])
def test_no_error_about_icmp_that_may_be_one(type_: int) -> None:
    assert about(ping(f"{HOST} > {FAR}", bytes(20), type_=type_)) == b""


@pytest.mark.parametrize("type_", [0, 8, 13, 14])
def test_an_error_about_a_query_or_its_reply(type_: int) -> None:
    assert about(ping(f"{HOST} > {FAR}", bytes(20), type_=type_))


def test_an_error_about_a_first_fragment_but_no_later_one() -> None:
    pieces = fragments(udp(f"{HOST}:4000 > {FAR}:53", bytes(100), flags=""), 40)
    assert [bool(about(piece)) for piece in pieces] == [True, False, False]


def test_errors_come_at_no_more_than_their_rate() -> None:
    answers = Answers(10)

    def burst(now: float) -> int:
        return sum(bool(about(PROBE, answers, now)) for _ in range(30))

    assert [burst(now) for now in (1000, 1000, 1000.5, 1001, 1060, 1059)] == [10, 0, 5, 5, 10, 0]


def test_silence_costs_nothing_of_the_rate() -> None:
    answers = Answers(1)
    assert about(error(HOST, PROBE, "port-unreachable"), answers) == b""
    assert about(PROBE, answers)


@pytest.mark.parametrize(
    ("packet", "answer"),
    [
        (ping(f"{HOST} > {ROUTER}", b"abc", query_id=9), f"pong {ROUTER} > {HOST} id 9"),
        (ping(f"{HOST} > {ROUTER}", query_id=9, type_=0), None),
        (ping(f"{HOST} > {ROUTER}", bytes(12), query_id=9, type_=13), None),
        (
            udp(f"{HOST}:4000 > {ROUTER}:53"),
            f"port-unreachable {ROUTER} > {HOST} (udp {HOST}:4000 > {ROUTER}:53)",
        ),
        (GRE, f"protocol-unreachable {ROUTER} > {HOST} (47 {HOST} > {ROUTER})"),
        (tcp(f"{HOST}:4000 > {ROUTER}:80 S"), f"tcp {ROUTER}:80 > {HOST}:4000 RA"),
        (tcp(f"{HOST}:4000 > {ROUTER}:80 A"), f"tcp {ROUTER}:80 > {HOST}:4000 R"),
        (tcp(f"{HOST}:4000 > {ROUTER}:80 R"), None),
        (tcp(f"{HOST}:4000 > {ROUTER}:80 RA"), None),
    ],
)
def test_what_a_host_without_services_says(packet: bytes, answer: str | None) -> None:
    assert local(packet) == answer


def test_fragments_for_the_router_are_not_answered() -> None:
    whole = udp(f"{HOST}:4000 > {ROUTER}:53", bytes(100), flags="")
    assert [local(piece) for piece in fragments(whole, 40)] == [None] * 3


@pytest.mark.parametrize(
    ("flags", "seq", "ack", "data", "expected"),
    [
        ("S", 41, 0, b"", (0, 42)),
        ("S", 0xFFFFFFFF, 0, b"", (0, 0)),
        ("S", 41, 0, b"early", (0, 47)),
        ("F", 41, 0, b"", (0, 42)),
        (".", 41, 0, b"xyz", (0, 44)),
        ("A", 41, 77, b"xyz", (77, 0)),
        ("SA", 41, 77, b"", (77, 0)),
    ],
)
def test_a_reset_is_numbered_as_rfc_9293_says(
    flags: str, seq: int, ack: int, data: bytes, expected: tuple[int, int]
) -> None:
    whole = tcp(f"{HOST}:4000 > {ROUTER}:80 {flags}", data, seq=seq, ack=ack)
    arrival = check(bytearray(whole), len(whole), Side.LAN, 0)
    assert isinstance(arrival, Arrival)
    answer = Answers(1).local(arrival)
    assert answer is not None
    segment = TCP(answer[20:])
    assert (segment.seq, segment.ack) == expected


@pytest.mark.parametrize(
    "whole", [ping(f"{HOST} > {ROUTER}", b"data"), tcp(f"{HOST}:1 > {ROUTER}:2 S")]
)
def test_a_damaged_packet_is_not_answered(whole: bytes) -> None:
    assert local(whole) is not None
    assert local(whole[:-1] + bytes([whole[-1] ^ 1])) is None


def test_strangers_do_not_use_up_the_errors_of_the_lan() -> None:
    answers = Answers(3)
    source, packet = parse_address(ROUTER), view(PROBE)
    outside = [answers.error(Side.WAN, source, packet, 11, 0, now=1) for _ in range(5)]
    assert [bool(answer) for answer in outside] == [True] * 3 + [False] * 2
    assert answers.error(Side.LAN, source, packet, 3, 4, now=1, mtu=1280)
