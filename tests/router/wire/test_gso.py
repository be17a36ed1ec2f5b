import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import IP, TCP

from router.wire.gso import offload_fits, segment_length, segments
from router.wire.ipv4 import build
from router.wire.vnet import GSO_NONE, GSO_TCPV4, GSO_UDP_L4, VnetHeader
from tests.lab.packets import (
    VNET_LENGTH,
    describe,
    fragments,
    frame,
    offloaded,
    ping,
    tcp,
    udp,
    wrong_checksums,
)
from tests.lab.strategies import frames
from tests.lab.views import whole

TCP_WAY = "192.168.1.11:4000 > 198.51.100.10:80"
UDP_WAY = "192.168.1.11:5353 > 198.51.100.10:53"
TIMESTAMPS = [("NOP", None), ("NOP", None), ("Timestamp", (1, 2))]
OPTIONS = b"\x94\x04\x00\x00"


def cut(super_frame: bytes) -> list[bytes]:
    packet = whole(super_frame[VNET_LENGTH:])
    pieces = segments(packet, VnetHeader.read(super_frame))
    return [bytes(piece.buffer[piece.start : piece.end]) for piece in pieces]


def longest(super_frame: bytes) -> int:
    return segment_length(whole(super_frame[VNET_LENGTH:]), VnetHeader.read(super_frame))


def naive_tcp(
    control: str, data: bytes, size: int, *, seq: int, number: int, **fields: Any
) -> list[bytes]:
    """What a sender without offloads would have sent, each segment built on its own."""
    train = []
    for index, at in enumerate(range(0, len(data), size)):
        last = at + size >= len(data)
        own = "".join(f for f in control if (f not in "FP" or last) and (f != "C" or not index))
        train.append(
            tcp(
                f"{TCP_WAY} {own}",
                data[at : at + size],
                seq=(seq + at) % 2**32,
                id=(number + index) % 2**16,
                tcp_options=TIMESTAMPS,
                options=OPTIONS,
                **fields,
            )[VNET_LENGTH:]
        )
    return train


def naive_udp(data: bytes, size: int, *, number: int) -> list[bytes]:
    starts = enumerate(range(0, len(data), size))
    return [
        udp(UDP_WAY, data[at : at + size], id=(number + index) % 2**16)[VNET_LENGTH:]
        for index, at in starts
    ]


@given(
    st.binary(min_size=1, max_size=600),
    st.integers(1, 700),
    st.sampled_from(["A", "PA", "FPA", "PAC", "FPACE", "U"]),
    st.integers(0, 2**32 - 1),
    st.integers(0, 2**16 - 1),
    st.sampled_from(["", "DF"]),
)
def test_tcp_as_a_sender_without_offloads_would_have_sent_it(
    data: bytes, size: int, control: str, seq: int, number: int, fragmentation: str
) -> None:
    size = max(size, len(data) // 20 + 1)
    way = f"{TCP_WAY} {control}"
    fields: dict[str, Any] = {"ack": 5, "tos": 2, "ttl": 9, "flags": fragmentation}
    whole_frame = tcp(
        way, data, seq=seq, id=number, tcp_options=TIMESTAMPS, options=OPTIONS, **fields
    )
    pieces = cut(offloaded(whole_frame, size))
    assert pieces == naive_tcp(control, data, size, seq=seq, number=number, **fields)
    assert [wrong_checksums(piece) for piece in pieces] == [[]] * len(pieces)
    assert longest(offloaded(whole_frame, size)) == max(map(len, pieces))


@given(st.binary(min_size=1, max_size=600), st.integers(1, 700), st.integers(0, 2**16 - 1))
def test_udp_as_a_sender_without_offloads_would_have_sent_it(
    data: bytes, size: int, number: int
) -> None:
    size = max(size, len(data) // 20 + 1)
    whole_frame = udp(UDP_WAY, data, id=number)
    pieces = cut(offloaded(whole_frame, size))
    assert pieces == naive_udp(data, size, number=number)
    assert [wrong_checksums(piece) for piece in pieces] == [[]] * len(pieces)
    assert longest(offloaded(whole_frame, size)) == max(map(len, pieces))


def test_a_train_of_64_kilobytes() -> None:
    data = bytes(range(256)) * 255
    pieces = cut(offloaded(tcp(f"{TCP_WAY} PA", data, seq=2**32 - 1000, id=0xFFFF), 1448))
    assert len(pieces) == 46
    numbers = [(2**32 - 1000 + 1448 * index) % 2**32 for index in range(46)]
    assert [IP(piece)[TCP].seq for piece in pieces] == numbers
    assert [IP(piece).id for piece in pieces] == [0xFFFF, *range(45)]
    assert b"".join(piece[40:] for piece in pieces) == data
    assert {wrong_checksums(piece) == [] for piece in pieces} == {True}
    text = f"tcp {TCP_WAY} "
    assert [describe(frame(piece)) for piece in pieces] == [f"{text}A"] * 45 + [f"{text}PA"]
    assert longest(offloaded(tcp(f"{TCP_WAY} PA", data), 1448)) == 1488


def test_the_ecn_form_of_the_type_is_tcp_too() -> None:
    super_frame = bytearray(offloaded(tcp(f"{TCP_WAY} AC", bytes(100)), 60))
    super_frame[1] |= 0x80
    assert [describe(frame(piece)) for piece in cut(bytes(super_frame))] == [
        f"tcp {TCP_WAY} AC",
        f"tcp {TCP_WAY} A",
    ]


@pytest.mark.parametrize(
    "plain",
    [tcp(f"{TCP_WAY} PA", b"data"), udp(UDP_WAY, b"data"), udp(UDP_WAY, b"", checksum=False)],
    ids=describe,
)
def test_a_packet_without_offload_is_itself(plain: bytes) -> None:
    assert cut(plain) == [plain[VNET_LENGTH:]]
    assert longest(plain) == len(plain) - VNET_LENGTH


@pytest.mark.parametrize("whole_frame", [tcp(f"{TCP_WAY} PA", b"data"), udp(UDP_WAY, b"data")])
def test_a_single_packet_gets_its_checksum(whole_frame: bytes) -> None:
    assert cut(offloaded(whole_frame)) == [whole_frame[VNET_LENGTH:]]
    assert longest(offloaded(whole_frame)) == len(whole_frame) - VNET_LENGTH


@pytest.mark.parametrize(("type_", "size"), [(GSO_NONE, 100), (GSO_TCPV4, 0), (GSO_UDP_L4, 0)])
def test_a_type_without_a_size_and_a_size_without_a_type_mean_nothing(
    type_: int, size: int
) -> None:
    plain = tcp(f"{TCP_WAY} PA", bytes(300))[VNET_LENGTH:]
    super_frame = VnetHeader(0, type_, 40, size, 20, 16).write() + plain
    assert cut(super_frame) == [plain]
    assert longest(super_frame) == len(plain)


def test_a_train_whose_header_does_not_parse_is_as_long_as_it_is() -> None:
    plain = build(1, 2, 6, struct.pack("!HHIIBBHHH", 1, 2, 0, 0, 0xF0, 0x10, 0, 0, 0))
    assert longest(VnetHeader(1, GSO_TCPV4, 40, 100, 20, 16).write() + plain) == len(plain)


# What a header may ask for

TCP_PACKET = tcp(f"{TCP_WAY} PA", bytes(100))
UDP_PACKET = udp(UDP_WAY, bytes(100))
WITH_IP_OPTIONS = tcp(f"{TCP_WAY} PA", bytes(100), options=OPTIONS)
PING = ping("192.168.1.11 > 198.51.100.10", bytes(100))
GRE = frame(build(1, 2, 47, bytes(100)))
FIRST, _, LAST = fragments(UDP_PACKET, 48)
ASKED = [  # flags, type, size, start and offset of the checksum
    (TCP_PACKET, (0, 0, 0, 0, 0), True),
    (TCP_PACKET, (2, 0, 0, 0, 0), True),  # valid as it is
    (TCP_PACKET, (1, 0, 0, 20, 16), True),
    (TCP_PACKET, (1, 0, 0, 20, 6), False),
    (TCP_PACKET, (1, 0, 0, 0, 16), False),
    (TCP_PACKET, (1, 0, 0, 24, 16), False),
    (WITH_IP_OPTIONS, (1, 0, 0, 24, 16), True),
    (WITH_IP_OPTIONS, (1, 0, 0, 20, 16), False),
    (TCP_PACKET, (1, 1, 60, 20, 16), True),
    (TCP_PACKET, (1, 0x81, 60, 20, 16), True),
    (TCP_PACKET, (0, 1, 60, 0, 0), True),
    (TCP_PACKET, (1, 5, 60, 20, 16), False),
    (TCP_PACKET, (1, 3, 60, 20, 16), False),  # UDP fragmentation offload
    (TCP_PACKET, (1, 4, 60, 20, 16), False),  # TCP over IPv6
    (UDP_PACKET, (1, 0, 0, 20, 6), True),
    (UDP_PACKET, (1, 5, 60, 20, 6), True),
    (UDP_PACKET, (1, 1, 60, 20, 6), False),
    (UDP_PACKET, (1, 5, 60, 20, 16), False),
    (PING, (0, 0, 0, 0, 0), True),
    (PING, (1, 0, 0, 20, 2), False),
    (GRE, (0, 0, 0, 0, 0), True),
    (GRE, (1, 0, 0, 20, 6), False),
    (GRE, (0, 1, 60, 0, 0), False),
    (FIRST, (0, 0, 0, 0, 0), True),
    (FIRST, (1, 0, 0, 20, 6), False),
    (LAST, (1, 0, 0, 20, 6), False),
    (LAST, (0, 5, 60, 0, 0), False),
]


@pytest.mark.parametrize(
    ("packet", "asked", "fits"), ASKED, ids=[f"{describe(a[0])} {a[1]}" for a in ASKED]
)
def test_only_what_its_packet_has_may_be_left_to_the_device(
    packet: bytes, asked: tuple[int, int, int, int, int], *, fits: bool
) -> None:
    flags, type_, size, start, offset = asked
    header = VnetHeader(flags, type_, 0, size, start, offset)
    assert offload_fits(whole(packet[VNET_LENGTH:]), header) is fits


@given(frames(), st.binary(min_size=VNET_LENGTH, max_size=VNET_LENGTH))
def test_whatever_may_be_left_can_be_done(packet: bytes, octets: bytes) -> None:
    header = VnetHeader.read(octets)
    view = whole(packet[VNET_LENGTH:])
    if offload_fits(view, header):
        length = segment_length(view, header)
        assert all(piece.end - piece.start <= length for piece in segments(view, header))


@given(frames(("tcp", "udp")), st.integers(1, 100))
def test_what_the_kernel_leaves_may_be_left(packet: bytes, size: int) -> None:
    for super_frame in (offloaded(packet), offloaded(packet, size)):
        assert offload_fits(whole(packet[VNET_LENGTH:]), VnetHeader.read(super_frame))
