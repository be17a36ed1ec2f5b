import subprocess
from io import BytesIO

import pytest
from scapy.utils import RawPcapNgReader

from router.host.control.pcapng import (
    ENHANCED_PACKET,
    cut_blocks,
    dropped_in,
    packet_block,
    preamble,
    split_blocks,
    statistics_block,
)
from router.wire.ipv4 import build

AT_NS = 1_700_000_000_123_456_789
UDP = build(0xC0A8010A, 0xC6336407, 17, bytes.fromhex("0fa00050000c0000") + b"ping", ttl=64)


def stream(*packets: bytes) -> bytes:
    blocks = [preamble(["lan0", "wan0"], "postroad test")]
    for index, packet in enumerate(packets):
        blocks.append(packet_block(index % 2, AT_NS + index, packet, inbound=index % 2 == 0))
    return b"".join(blocks)


def tcpdump(*options: str, capture: bytes) -> list[str]:
    done = subprocess.run(
        ["tcpdump", "-n", *options, "-r", "-"], input=capture, capture_output=True, check=True
    )
    return done.stdout.decode().splitlines()


def test_tcpdump_reads_it_from_a_pipe() -> None:
    lines = tcpdump("-tt", capture=stream(UDP, UDP))
    said = "IP 192.168.1.10.4000 > 198.51.100.7.80: UDP, length 4"
    assert lines == [f"1700000000.123456 {said}", f"1700000000.123456 {said}"]


@pytest.mark.parametrize("length", range(20, 29))
def test_packets_of_every_alignment_come_back(length: int) -> None:
    packets = [bytes(range(length)), bytes(range(length + 1))]
    reader = RawPcapNgReader(BytesIO(stream(*packets)))
    read = [(data, meta.tshigh << 32 | meta.tslow, meta.linktype) for data, meta in reader]
    assert read == [(packets[0], AT_NS, 228), (packets[1], AT_NS + 1, 228)]


def test_blocks_are_cut_only_when_whole() -> None:
    whole = stream(UDP) + statistics_block(0, AT_NS, 7)
    got, rest = b"", bytearray()
    for byte in whole:
        rest.append(byte)
        piece = cut_blocks(rest)
        assert piece == b"".join(block for _, block in split_blocks(piece))
        got += piece
    assert (got, rest) == (whole, b"")


def test_what_was_left_out_can_be_read_back() -> None:
    blocks = list(split_blocks(stream(UDP) + statistics_block(1, AT_NS, 41)))
    assert [dropped_in(*block) for block in blocks] == [0, 0, 0, 0, 41]
    assert [kind for kind, _ in blocks].count(ENHANCED_PACKET) == 1
