"""A tcpdump that looks at one end of a link for as long as the tests run, and what it has seen.

It takes only what comes in at that end, so what the tests themselves send there is not in it.
What has been seen is complete up to a ping that went through the router last: the watch waits
until it has seen that as well, which also proves that it was looking.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_address, ip_network
from itertools import count
from socket import IPPROTO_ICMP

from scapy.layers.inet import ICMP, IP
from scapy.packet import Packet

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
_FILE_HEADER_BYTES, _RECORD_HEADER_BYTES = 24, 16  # pcap(5)
_ETHERNET = (1).to_bytes(4, sys.byteorder)  # LINKTYPE_ETHERNET; the TUNs are LINKTYPE_RAW
_sizes = count(_MARK_BYTES.start)


class Watch:
    """What came in at (node, device) and matches a pcap filter."""

    def __init__(self, site: Site, end: tuple[str, str], what: str) -> None:
        self._site, self._end = site, end
        node, device = end
        path = site.directory / f"{node}-{device}-{next(_sizes)}.pcap"
        # The mark is an echo, of a size that only the mark has.
        marks = (bound + _HEADERS_BYTES for bound in (_MARK_BYTES.start, _MARK_BYTES.stop))
        mark = "icmp and ip[6:2] & 0x3fff = 0 and ip[2:2] >= {} and ip[2:2] < {}".format(*marks)
        self.process = site.background(
            node, "tcpdump", "-i", device, "-Q", "in", "-n", "-U", "--immediate-mode", "-Z", "root",
            "-w", str(path), f"({what}) or ({mark})",
        )  # fmt: skip
        assert self.process.stderr is not None
        told = self.process.stderr.readline()
        while "listening on" not in told:
            assert told, "tcpdump has ended"
            told = self.process.stderr.readline()
        self._seen: list[Packet] = []
        self._told = 0
        self._file = path.open("rb")
        header = eventually(lambda: self._peek(_FILE_HEADER_BYTES), "tcpdump's file")
        self._file.seek(_FILE_HEADER_BYTES)
        self._link_bytes = 14 if header[20:24] == _ETHERNET else 0

    def seen(self) -> list[Packet]:
        """All packets up to now, as IPv4 packets, without the marks."""
        size = next(_sizes)
        assert size in _MARK_BYTES, "too many marks for one run"

        def complete() -> bool:
            self._site.pings("alice", SERVER, "-s", str(size))
            return size in self._read()

        eventually(complete, f"a ping seen on {self._end}")
        return self._seen

    def news(self) -> list[Packet]:
        """The packets seen since this was last asked."""
        told, self._told = self._told, len(self.seen())
        return self._seen[told:]

    def end(self) -> None:
        self.process.terminate()
        self.process.wait()
        self._file.close()

    def _read(self) -> set[int]:
        """Take what tcpdump has written since; return the sizes of the marks in it."""
        marks = set()
        while record := self._peek(_RECORD_HEADER_BYTES):
            length = int.from_bytes(record[8:12], sys.byteorder)
            record = self._peek(_RECORD_HEADER_BYTES + length)
            if not record:
                break
            self._file.seek(len(record), os.SEEK_CUR)
            packet = IP(record[_RECORD_HEADER_BYTES + self._link_bytes :])
            data = packet.len - _HEADERS_BYTES
            if data in _MARK_BYTES and _is_whole_echo(packet):
                marks.add(data)
            else:
                self._seen.append(packet)
        return marks

    def _peek(self, length: int) -> bytes:
        """Return the next so many bytes of the file, or nothing while it has fewer."""
        at = self._file.tell()
        data = self._file.read(length)
        self._file.seek(at)
        return data if len(data) == length else b""


@contextmanager
def watching(site: Site, end: tuple[str, str], what: str) -> Iterator[Watch]:
    watch = Watch(site, end, what)
    try:
        yield watch
    finally:
        watch.end()


def leaks(packets: list[Packet]) -> list[str]:
    """Those with a private source, or with a private address in what an ICMP error quotes.

    An address outside which is private, too, may be told about itself.
    """
    return [
        packet.summary()
        for packet in packets
        if any(map(_is_private, {packet.src, *_quoted(bytes(packet))} - {packet.dst}))
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


def _is_whole_echo(packet: Packet) -> bool:
    return (
        ICMP in packet and packet[ICMP].type in (0, 8) and not packet.frag and not packet.flags.MF
    )
