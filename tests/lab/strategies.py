"""Random packets for hypothesis: orderly ones, and evil ones that lie about themselves."""

from typing import Any

from hypothesis import strategies as st

from tests.lab.packets import (
    ERRORS,
    QUERY_NAMES,
    VNET_LENGTH,
    dotted,
    error,
    fragments,
    heal_header,
    ping,
    tcp,
    udp,
)

ports = st.integers(1, 65535)
addresses = st.one_of(
    st.sampled_from(
        ["192.168.1.11", "192.168.1.12", "198.51.100.10", "198.51.100.20", "203.0.113.2"]
    ),
    st.integers(0x01000000, 0xDFFFFFFF).map(lambda number: dotted(number.to_bytes(4))),
)
payloads = st.binary(max_size=64)
_tcp_options = st.lists(
    st.sampled_from(
        [
            ("NOP", None),
            ("MSS", 1460),
            ("MSS", 65495),
            ("WScale", 7),
            ("SAckOK", b""),
            ("Timestamp", (1, 2)),
        ]
    ),
    max_size=4,
)
_ip_fields: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {
        "id": st.integers(0, 0xFFFF),
        "ttl": st.integers(1, 255),
        "tos": st.integers(0, 255),
        "flags": st.sampled_from(["", "DF"]),
        "options": st.sampled_from(
            [b"", b"", b"", b"\x94\x04\x00\x00", b"\x07\x07\x04\x00\x00\x00\x00\x00"]
        ),
    }
)


@st.composite
def frames(draw: st.DrawFn, protocols: tuple[str, ...] = ("tcp", "udp", "ping")) -> bytes:
    """A whole packet with right checksums, nothing left to a device."""
    source, destination = draw(addresses), draw(addresses)
    data, fields = draw(payloads), draw(_ip_fields)
    protocol = draw(st.sampled_from(protocols))
    if protocol == "ping":
        type_ = draw(st.sampled_from(sorted(QUERY_NAMES)))
        query_id = draw(st.integers(0, 0xFFFF))
        return ping(f"{source} > {destination}", data, query_id=query_id, type_=type_, **fields)
    way = f"{source}:{draw(ports)} > {destination}:{draw(ports)}"
    if protocol == "udp":
        return udp(way, data, checksum=draw(st.booleans()), **fields)
    flags = draw(st.sampled_from(["S", "SA", "A", "PA", "FA", "R", "RA", "PAU"]))
    number = draw(st.integers(0, 0xFFFFFFFF))
    options = draw(_tcp_options)
    return tcp(f"{way} {flags}", data, seq=number, tcp_options=options, **fields)


def packets(protocols: tuple[str, ...] = ("tcp", "udp", "ping")) -> st.SearchStrategy[bytes]:
    """What `frames` gives, without the virtio-net header."""
    return frames(protocols).map(lambda whole: whole[VNET_LENGTH:])


@st.composite
def error_packets(draw: st.DrawFn, about: st.SearchStrategy[bytes] | None = None) -> bytes:
    """An ICMP error that quotes some or all of a packet."""
    quoted = draw(frames() if about is None else about)
    quote = draw(st.integers(0, len(quoted)))
    name = draw(st.sampled_from(sorted(ERRORS)))
    source, destination = draw(addresses), draw(addresses)
    whole = error(source, quoted, name, quote=quote, destination=destination)
    return whole[VNET_LENGTH:]


_LIES = [  # whether behind the IP header, offset there, width in bytes
    (False, 0, 1),  # version and header length
    (False, 2, 2),  # total length
    (False, 6, 2),  # flags and fragment offset
    (False, 8, 1),  # time to live
    (False, 9, 1),  # protocol
    (False, 10, 2),  # checksum
    (False, 20, 2),  # first option
    (True, 0, 1),  # ICMP type
    (True, 4, 2),  # UDP length
    (True, 6, 2),  # UDP checksum
    (True, 12, 1),  # TCP data offset
    (True, 13, 1),  # TCP flags
    (True, 16, 2),  # TCP checksum
    (True, 20, 2),  # first TCP option
]
_TCP = tcp("192.168.1.11:4000 > 198.51.100.10:80 S", tcp_options=[("NOP", None), ("MSS", 1460)])
_UDP = udp("192.168.1.11:5000 > 198.51.100.10:53", b"a question", options=b"\x94\x04\x00\x00")
_SEEDS = [
    _TCP,
    tcp("198.51.100.10:80 > 192.168.1.11:4000 PA", b"an answer", seq=1, ack=2),
    _UDP,
    udp("198.51.100.10:53 > 192.168.1.11:5000", checksum=False),
    ping("192.168.1.11 > 198.51.100.10", b"abcd", query_id=7),
    error("198.51.100.10", _TCP, "port-unreachable"),
    error("198.51.100.10", _UDP, "fragmentation-needed", mtu=1280, quote=32),
    error("198.51.100.10", ping("192.168.1.11 > 198.51.100.10"), "time-exceeded", quote=28),
    *fragments(udp("192.168.1.11:5000 > 198.51.100.10:53", bytes(40)), 16),
]
seeds = st.sampled_from([whole[VNET_LENGTH:] for whole in _SEEDS])


@st.composite
def evil_packets(draw: st.DrawFn, good: st.SearchStrategy[bytes] = seeds) -> bytes:
    """A good packet with lies in its fields, bytes missing or too many.

    Often total length and header checksum are made right again, so that a lie reaches the parsers
    behind it.
    """
    packet = bytearray(draw(good))
    whole = len(packet)
    transport = (packet[0] & 15) * 4
    behind_header = max(0, whole - transport)
    edges = [0, 1, 4, 7, 8, 20, 0x45, 0x4F, 0xF0, whole, behind_header, 0xFFFF]
    values = st.sampled_from(edges) | st.integers(0, 0xFFFF)
    for (behind, at, width), value in draw(
        st.lists(st.tuples(st.sampled_from(_LIES), values), min_size=1, max_size=3)
    ):
        start = at + transport if behind else at
        if start + width <= len(packet):
            packet[start : start + width] = value.to_bytes(2)[-width:]
    del packet[draw(st.just(whole) | st.integers(0, whole)) :]
    if draw(st.booleans()) and len(packet) >= 20:
        packet[2:4] = len(packet).to_bytes(2)
    if draw(st.integers(0, 3)):
        heal_header(packet)
    return bytes(packet) + draw(st.just(b"") | st.binary(max_size=8))
