"""A tcpdump that looks at one end of a link for as long as the tests run, and what it has seen.

It takes only what comes in at that end, so what the tests themselves send there is not in it.
What has been seen is complete up to a ping that went through the router last: the watch waits
until it has seen that as well, which also proves that it was looking.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_address, ip_network
from itertools import count
from socket import IPPROTO_ICMP

from scapy.layers.inet import ICMP, IP
from scapy.packet import Packet
from scapy.utils import rdpcap

from tests.lab.site import SERVER, Site, eventually

PRIVATE = [
    ip_network(text)
    for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "127.0.0.0/8",
                 "169.254.0.0/16", "0.0.0.0/8", "224.0.0.0/3")
]  # fmt: skip
SUSPECT = "icmp or " + " or ".join(f"src net {network}" for network in PRIVATE)
_MARK_BYTES = range(700, 1400)  # of ping data: sizes nothing else here uses
_HEADER_BYTES = 20  # IPv4 without options
_HEADERS_BYTES = _HEADER_BYTES + 8
_ERRORS = {3, 4, 5, 11, 12}  # ICMP types that quote a packet
_sizes = count(_MARK_BYTES.start)


class Watch:
    """What came in at (node, device) and matches a pcap filter."""

    def __init__(self, site: Site, end: tuple[str, str], what: str) -> None:
        self._site, self._end = site, end
        node, device = end
        self._path = site.directory / f"{node}-{device}-{next(_sizes)}.pcap"
        # The mark is an echo, of a size that only the mark has.
        marks = (bound + _HEADERS_BYTES for bound in (_MARK_BYTES.start, _MARK_BYTES.stop))
        mark = "icmp and ip[2:2] >= {} and ip[2:2] < {}".format(*marks)
        self.process = site.background(
            node, "tcpdump", "-i", device, "-Q", "in", "-n", "-U", "--immediate-mode", "-Z", "root",
            "-w", str(self._path), f"({what}) or ({mark})",
        )  # fmt: skip
        assert self.process.stderr is not None
        told = self.process.stderr.readline()
        while "listening on" not in told:
            assert told, "tcpdump has ended"
            told = self.process.stderr.readline()

    def seen(self) -> list[Packet]:
        """All packets up to now, as IPv4 packets, without the marks."""
        size = next(_sizes)
        mark = size + _HEADERS_BYTES
        assert size in _MARK_BYTES

        def complete() -> list[Packet]:
            self._site.pings("alice", SERVER, "-s", str(size))
            packets = [packet[IP] for packet in rdpcap(str(self._path)) if IP in packet]
            return packets if any(_is_mark(packet, mark) for packet in packets) else []

        packets = eventually(complete, f"a ping seen on {self._end}")
        return [packet for packet in packets if not (ICMP in packet and _may_be_mark(packet))]

    def end(self) -> None:
        self.process.terminate()
        self.process.wait()


@contextmanager
def watching(site: Site, end: tuple[str, str], what: str) -> Iterator[Watch]:
    watch = Watch(site, end, what)
    try:
        yield watch
    finally:
        watch.end()


def leaks(packets: list[Packet]) -> list[str]:
    """Those with a private source, or with a private address in what an ICMP error quotes."""
    return [
        packet.summary()
        for packet in packets
        if _is_private(packet.src) or any(map(_is_private, _quoted(bytes(packet))))
    ]


def _quoted(packet: bytes) -> Iterator[str]:
    """Addresses in the IPv4 headers an ICMP error quotes, one in the other."""
    message = packet[(packet[0] & 15) * 4 :]
    is_first = not int.from_bytes(packet[6:8], "big") & 0x1FFF
    if packet[9] != IPPROTO_ICMP or not is_first or not message or message[0] not in _ERRORS:
        return
    quote = message[8:]
    if len(quote) >= _HEADER_BYTES:
        yield from (str(ip_address(quote[at : at + 4])) for at in (12, 16))
        yield from _quoted(quote)


def _is_private(text: str) -> bool:
    return any(ip_address(text) in network for network in PRIVATE)


def _may_be_mark(packet: Packet) -> bool:
    return packet[ICMP].type in (0, 8) and packet.len - _HEADERS_BYTES in _MARK_BYTES


def _is_mark(packet: Packet, length: int) -> bool:
    return ICMP in packet and packet[ICMP].type in (0, 8) and packet.len == length
