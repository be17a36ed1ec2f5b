"""Packets for tests, written as text and built by scapy, so that no judge shares our code.

    tcp("192.168.1.11:4000 > 198.51.100.10:80 S")            a frame: 10 bytes virtio-net, then IPv4
    udp("192.168.1.11:5000 > 198.51.100.10:53", b"query", ttl=3)
    ping("192.168.1.11 > 198.51.100.10", query_id=7)
    error("203.0.113.1", udp(...), "port-unreachable")       to the sender of what it quotes
    describe(frame)                                          the text again, for comparing

Keywords with scapy's names (`ttl`, `tos`, `id`, `flags`, `options`) go to the IP header. What is
called a frame has the virtio-net header, what is called a packet has not. Random and evil packets
are in `tests.lab.strategies`.
"""

import struct
from collections.abc import Callable
from typing import Any

from scapy.layers.inet import IP, TCP, UDP, IPOption, in4_chksum, in4_pseudoheader
from scapy.layers.inet import fragment as scapy_fragment
from scapy.packet import Packet, Raw
from scapy.utils import checksum

VNET_LENGTH = 10
PLAIN = bytes(VNET_LENGTH)

_NEEDS_CSUM = 1
_GSO_TYPES = {6: 1, 17: 5}  # VIRTIO_NET_HDR_GSO_TCPV4, VIRTIO_NET_HDR_GSO_UDP_L4
_CHECKSUM_AT = {1: 2, 6: 16, 17: 6}  # bytes from the start of the transport header
ERRORS = {
    "net-unreachable": (3, 0),
    "host-unreachable": (3, 1),
    "protocol-unreachable": (3, 2),
    "port-unreachable": (3, 3),
    "fragmentation-needed": (3, 4),
    "prohibited": (3, 13),
    "source-quench": (4, 0),
    "redirect": (5, 1),
    "time-exceeded": (11, 0),
    "reassembly-time-exceeded": (11, 1),
    "parameter-problem": (12, 0),
}
_ERROR_NAMES = {number: name for name, number in ERRORS.items()}
QUERY_NAMES = {0: "pong", 8: "ping", 13: "timestamp", 14: "timestamp-reply"}


# Frames from text


def tcp(
    text: str,
    data: bytes = b"",
    *,
    seq: int = 0,
    ack: int = 0,
    window: int = 64240,
    tcp_options: list[tuple[Any, ...]] | None = None,
    **ip: Any,
) -> bytes:
    """`A:port > B:port FLAGS`, flags as scapy's letters FSRPAUEC, `.` for none."""
    ends, _, flags = text.rpartition(" ")
    source, sport, destination, dport = _endpoints(ends)
    header = TCP(
        sport=sport,
        dport=dport,
        flags="" if flags == "." else flags,
        seq=seq,
        ack=ack,
        window=window,
        options=tcp_options or [],
    )
    return frame(_ip(source, destination, ip) / header / data)


def udp(text: str, data: bytes = b"", *, checksum: bool = True, **ip: Any) -> bytes:
    """`A:port > B:port`; without `checksum` the field is zero."""
    source, sport, destination, dport = _endpoints(text)
    header = UDP(sport=sport, dport=dport) if checksum else UDP(sport=sport, dport=dport, chksum=0)
    return frame(_ip(source, destination, ip) / header / data)


def ping(
    text: str, data: bytes = b"", *, query_id: int = 1, seq: int = 1, type_: int = 8, **ip: Any
) -> bytes:
    """`A > B`: an ICMP query or, with `type_` 0 or 14, the reply to one."""
    source, destination = text.split(" > ")
    header = struct.pack("!BBHHH", type_, 0, 0, query_id, seq)
    return frame(_ip(source, destination, ip | {"proto": 1}) / Raw(with_sum(header + data)))


def pong(text: str, data: bytes = b"", *, query_id: int = 1, seq: int = 1, **ip: Any) -> bytes:
    return ping(text, data, query_id=query_id, seq=seq, type_=0, **ip)


def error(
    source: str,
    about: bytes,
    name: str,
    *,
    mtu: int = 0,
    quote: int = 548,
    destination: str = "",
    **ip: Any,
) -> bytes:
    """An ICMP error about the frame `about`, quoting at most `quote` bytes, to its sender."""
    type_, code = ERRORS[name]
    quoted = about[VNET_LENGTH:][:quote]
    message = with_sum(struct.pack("!BBHHH", type_, code, 0, 0, mtu) + quoted)
    destination = destination or parsed(about).src
    return frame(_ip(source, destination, ip | {"proto": 1}) / Raw(message))


def frame(packet: Packet | bytes, vnet: bytes = PLAIN) -> bytes:
    return vnet + bytes(packet)


def _ip(source: str, destination: str, fields: dict[str, Any]) -> Packet:
    fields = {"src": source, "dst": destination, "flags": "DF", "id": 1, **fields}
    if isinstance(options := fields.get("options"), bytes):
        fields["options"] = [IPOption(options)] if options else []
    header: Callable[..., Packet] = IP
    return header(**fields)


def _endpoints(text: str) -> tuple[str, int, str, int]:
    left, right = text.split(" > ")
    (source, _, sport), (destination, _, dport) = left.rpartition(":"), right.rpartition(":")
    return source, int(sport), destination, int(dport)


def with_sum(message: bytes) -> bytes:
    """The ICMP message with its checksum made right."""
    field: int = checksum(message[:2] + bytes(2) + message[4:])
    return message[:2] + field.to_bytes(2) + message[4:]


# Frames from frames


def fragments(whole: bytes, size: int) -> list[bytes]:
    """The frame cut by scapy into IP fragments of `size` data bytes, a multiple of 8."""
    packet = parsed(whole)
    packet.flags = 0
    del packet.chksum
    return [frame(piece) for piece in scapy_fragment(packet, size)]  # type: ignore[no-untyped-call]


def offloaded(whole: bytes, gso_size: int = 0) -> bytes:
    """The frame as a sender with offloads hands it over: checksum partial, segments uncut."""
    packet = bytearray(whole[VNET_LENGTH:])
    protocol, start = packet[9], (packet[0] & 15) * 4
    pseudo = in4_pseudoheader(protocol, IP(bytes(packet[:20])), len(packet) - start)
    at = start + _CHECKSUM_AT[protocol]
    struct.pack_into("!H", packet, at, checksum(pseudo) ^ 0xFFFF)
    header_length = start + (8 if protocol == 17 else (packet[start + 12] >> 4) * 4)
    vnet = struct.pack(
        "<BBHHHH",
        _NEEDS_CSUM,
        _GSO_TYPES[protocol] if gso_size else 0,
        header_length if gso_size else 0,
        gso_size,
        start,
        _CHECKSUM_AT[protocol],
    )
    return frame(bytes(packet), vnet)


def resized(packet: bytes, data: bytes) -> bytes:
    """The packet with other data behind its IP header, and a header that says so."""
    edited = bytearray(packet[: (packet[0] & 15) * 4] + data)
    edited[2:4] = len(edited).to_bytes(2)
    heal_header(edited)
    return bytes(edited)


def heal_header(packet: bytearray) -> None:
    """Make the IP header checksum right for whatever header length the packet claims."""
    length = (packet[0] & 15) * 4 if packet else 0
    if 20 <= length <= len(packet):
        packet[10:12] = bytes(2)
        packet[10:12] = checksum(bytes(packet[:length])).to_bytes(2)


def completed(packet: bytes) -> bytes:
    """What a device makes of a packet whose TCP or UDP checksum is partial: sum, field included."""
    start, protocol = (packet[0] & 15) * 4, packet[9]
    field: int = checksum(packet[start:])
    at = start + _CHECKSUM_AT[protocol]
    return packet[:at] + (field or 0xFFFF * (protocol == 17)).to_bytes(2) + packet[at + 2 :]


# Judging


def parsed(whole: bytes) -> Packet:
    """What scapy makes of the IPv4 packet in a frame."""
    return IP(whole[VNET_LENGTH:])


def wrong_checksums(packet: bytes) -> list[str]:
    """The names of the checksums scapy computes otherwise; transport only in whole packets."""
    header_length = (packet[0] & 15) * 4
    header, body = packet[:header_length], packet[header_length : int.from_bytes(packet[2:4])]
    wrong = [] if _field_right(header, 10, checksum) else ["ip"]
    protocol, is_fragment = header[9], int.from_bytes(header[6:8]) & 0x3FFF
    if not is_fragment and protocol in _CHECKSUM_AT and not _transport_right(header, body):
        wrong.append({1: "icmp", 6: "tcp", 17: "udp"}[protocol])
    return wrong


def _transport_right(header: bytes, body: bytes) -> bool:
    protocol = header[9]
    if protocol == 1:
        return _field_right(body, 2, checksum)
    addresses = IP(src=dotted(header[12:16]), dst=dotted(header[16:20]))

    def judge(data: bytes) -> int:
        field: int = in4_chksum(protocol, addresses, data)
        return field or 0xFFFF if protocol == 17 else field

    at = _CHECKSUM_AT[protocol]
    none_sent = protocol == 17 and body[at : at + 2] == bytes(2)
    return none_sent or _field_right(body, at, judge)


def _field_right(data: bytes, at: int, judge: Callable[[bytes], int]) -> bool:
    return judge(data[:at] + bytes(2) + data[at + 2 :]) == int.from_bytes(data[at : at + 2])


def dotted(address: bytes) -> str:
    return ".".join(map(str, address))


def describe(whole: bytes) -> str:
    """One line: what the frame is, from where, to where; an error with what it quotes."""
    return _describe(parsed(whole))


def _describe(packet: Packet) -> str:
    names = {1: "icmp", 6: "tcp", 17: "udp"}
    protocol = names.get(packet.proto, str(packet.proto))
    if packet.frag:
        more = "+" if packet.flags.MF else ""
        return f"{protocol} {packet.src} > {packet.dst} fragment {packet.frag * 8}{more}"
    body = bytes(packet.payload)
    text = _describe_transport(packet, protocol, body)
    return f"{text} fragment 0+" if packet.flags.MF else text


def _describe_transport(packet: Packet, protocol: str, body: bytes) -> str:
    way = f"{packet.src} > {packet.dst}"
    if protocol == "icmp" and len(body) >= 8:
        type_, code, _, query_id = struct.unpack_from("!BBHH", body)
        if type_ in QUERY_NAMES:
            return f"{QUERY_NAMES[type_]} {way} id {query_id}"
        quoted = _describe(IP(body[8:])) if len(body) >= 28 else "cut short"
        return f"{_ERROR_NAMES.get((type_, code), f'icmp {type_}/{code}')} {way} ({quoted})"
    if protocol not in ("tcp", "udp") or len(body) < 4:
        return f"{protocol} {way}"
    sport, dport = struct.unpack_from("!HH", body)
    text = f"{protocol} {packet.src}:{sport} > {packet.dst}:{dport}"
    if protocol == "tcp" and len(body) >= 20:
        return f"{text} {TCP(body).flags or '.'}"
    return text
