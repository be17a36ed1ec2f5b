import re

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP

from router.notation import describe_packet, parse_packet

A, B = "192.168.1.10", "198.51.100.7"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"tcp {A}:4000 -> {B}:80", IP(src=A, dst=B, flags="DF") / TCP(sport=4000, dport=80)),
        (
            f"TCP {A}:4000 -> {B}:80 flags fin,ack ttl 3 length 5",
            IP(src=A, dst=B, flags="DF", ttl=3)
            / TCP(sport=4000, dport=80, flags="FA", ack=1)
            / bytes(5),
        ),
        (f"udp {B}:53 -> {A}:4000", IP(src=B, dst=A, flags="DF") / UDP(sport=53, dport=4000)),
        (f"icmp {A} -> {B} id 7", IP(src=A, dst=B, flags="DF") / ICMP(id=7, seq=1)),
        (f"icmp {A} -> {B} type 0", IP(src=A, dst=B, flags="DF") / ICMP(type=0, id=1, seq=1)),
        (f"47 {A} -> {B} length 9", IP(src=A, dst=B, flags="DF", proto=47) / bytes(9)),
    ],
)
def test_text_becomes_the_packet_scapy_builds(text: str, expected: IP) -> None:
    if TCP in expected:
        expected[TCP].seq, expected[TCP].window = 1, 65535
    expected.id = 0
    expected.ttl = expected.ttl or 64
    assert parse_packet(text) == bytes(expected)


@pytest.mark.parametrize(
    "text",
    [
        f"tcp {A}:4000 -> {B}:80 flags syn",
        f"tcp {A}:4000 -> {B}:80 flags fin,ack",
        f"tcp {A}:4000 -> {B}:80 flags none",
        f"udp {A}:4000 -> {B}:53",
        f"icmp {A} -> {B} type 8 id 9",
        f"50 {A} -> {B}",
    ],
)
def test_a_description_reads_back(text: str) -> None:
    packet = parse_packet(text)
    assert describe_packet(packet) == text
    assert parse_packet(describe_packet(packet)) == packet


@pytest.mark.parametrize(
    ("packet", "said"),
    [
        (b"", "0 bytes, shorter than its headers"),
        (bytes(40), "40 bytes, not IP version 4"),
        (
            bytes(IP(src=A, dst=B, frag=2, proto=17) / bytes(8)),
            f"udp {A} -> {B} fragment at byte 16",
        ),
        (
            bytes(IP(src=A, dst=B) / ICMP(type=11) / IP(src=B, dst=A) / bytes(8)),
            f"icmp {A} -> {B} type 11 code 0",
        ),
    ],
)
def test_odd_packets_are_described_too(packet: bytes, said: str) -> None:
    assert describe_packet(packet) == said


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "does not read like"),
        (f"tcp {A}:1 {B}:2", "does not read like"),
        (f"tcp {A}:1 -> {B}:2 flags", "does not read like"),
        (f"tcp {A} -> {B}:2", f"'{A}' has no port"),
        (f"icmp {A}:1 -> {B}", f"'{A}:1' has a port"),
        (f"tcp {A}:1 -> 1.2.3:2", "'1.2.3' is not an IPv4 address"),
        (f"tcp {A}:1 -> {B}:65536", "'65536' is not a port from 0 to 65535"),
        (f"sctp {A} -> {B}", "'sctp' is not a protocol from 0 to 255"),
        (f"tcp {A}:1 -> {B}:2 flags sin", "'sin' is no TCP flag; there are fin, syn"),
        (f"udp {A}:1 -> {B}:2 flags syn", "udp packets have no 'flags'"),
        (f"udp {A}:1 -> {B}:2 ttl 256", "'256' is not a ttl from 0 to 255"),
    ],
)
def test_what_is_wrong_is_said(text: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=re.escape(sentence)):
        parse_packet(text)
