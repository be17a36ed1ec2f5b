import struct

import pytest

from router.wire.vnet import (
    GSO_ECN,
    GSO_NONE,
    GSO_TCPV4,
    GSO_UDP_L4,
    NEEDS_CSUM,
    PLAIN,
    VNET_HEADER_LENGTH,
    VnetHeader,
)

# As a TUN hands them over, and what they say.
HEADERS = [
    ("0000 0000 0000 0000 0000", VnetHeader(0, GSO_NONE, 0, 0, 0, 0), False),
    ("0100 0000 0000 1400 1000", VnetHeader(NEEDS_CSUM, GSO_NONE, 0, 0, 20, 16), True),
    ("0101 3400 a805 1400 1000", VnetHeader(NEEDS_CSUM, GSO_TCPV4, 52, 1448, 20, 16), True),
    ("0181 3400 a805 1400 1000", VnetHeader(1, GSO_TCPV4 | GSO_ECN, 52, 1448, 20, 16), True),
    ("0105 1c00 b004 1400 0600", VnetHeader(NEEDS_CSUM, GSO_UDP_L4, 28, 1200, 20, 6), True),
    ("0200 0000 0000 0000 0000", VnetHeader(2, GSO_NONE, 0, 0, 0, 0), False),  # DATA_VALID
    ("0300 0000 0000 1400 0600", VnetHeader(3, GSO_NONE, 0, 0, 20, 6), True),
]


@pytest.mark.parametrize(("text", "header", "partial"), HEADERS)
def test_headers_go_both_ways(text: str, header: VnetHeader, *, partial: bool) -> None:
    octets = bytes.fromhex(text)
    assert VnetHeader.read(octets) == header
    assert header.write() == octets
    assert header.partial is partial


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_what_follows_the_header_is_not_read(kind: type) -> None:
    octets = bytes.fromhex("0101 3400 a805 1400 1000")
    assert VnetHeader.read(kind(octets + b"\x45\xff")) == VnetHeader.read(octets)


def test_a_frame_shorter_than_its_header_is_a_caller_s_mistake() -> None:
    with pytest.raises(struct.error):
        VnetHeader.read(bytes(VNET_HEADER_LENGTH - 1))


def test_plain_leaves_nothing_to_the_device() -> None:
    assert VnetHeader(0, GSO_NONE, 0, 0, 0, 0).write() == PLAIN
