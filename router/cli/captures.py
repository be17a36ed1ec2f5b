"""Captures as commands read them: the IPv4 packets of a pcap or pcapng, one at a time.

A capture of the router's own knows interface and direction of each packet. In others there is
neither: their packets came in from wherever their sources are.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from rich.progress import Progress

from router.config import Config
from router.devices import Side
from router.errors import DeviceError
from router.host.control.pcapng import EPB_OUTBOUND
from router.wire.ipv4 import PROTO_TCP
from router.wire.vnet import GSO_TCPV4, PLAIN, VnetHeader

__all__ = ["Captured", "frame_of", "read_capture"]

OFFLOADED_SEGMENT = 1000  # bytes; only must be less than any MTU leaves for data


class Captured(NamedTuple):
    """A packet, `at` seconds since 1970; `side` is that of its interface, where it is known.

    `sent` is whether the router was its sender.
    """

    packet: bytes
    at: float
    side: Side | None
    sent: bool


def read_capture(
    path: Path, config: Config, progress: Progress | None = None
) -> Iterator[Captured]:
    """Yield the IPv4 packets of a capture, each as long as its header says.

    `config` knows the names of the interfaces, `progress` shows how far into the file that is.
    Raises DeviceError.
    """
    from scapy.error import Scapy_Exception
    from scapy.layers.inet import IP  # also what makes the reader know IP when it sees it
    from scapy.utils import PcapReader

    interfaces = {config.lan.tun: Side.LAN, config.wan.tun: Side.WAN}
    try:
        opened = progress.open(path, "rb") if progress else path.open("rb")
        # The annotation of PcapReader knows file names only; those it leaves open when it fails.
        with opened as file, PcapReader(file) as reader:  # type: ignore[arg-type]
            for frame in reader:
                if IP in frame and frame[IP].version == 4:
                    packet = bytes(frame[IP].original)
                    side = interfaces.get(str(frame.sniffed_on))
                    sent = frame.direction == EPB_OUTBOUND
                    yield Captured(packet[: _total_length(packet)], float(frame.time), side, sent)
    except (OSError, EOFError, Scapy_Exception) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise DeviceError(f"cannot read {path}: {reason}") from error


def _total_length(packet: bytes) -> int:
    """Return what the IP header says; 0 is how an offloading sender says too long to say."""
    return int.from_bytes(packet[2:4], "big") or len(packet)


def frame_of(packet: bytes, mtu: int) -> bytes:
    """Return the frame in which a packet comes from a network that carries up to `mtu` bytes.

    TCP that is longer is taken for what an offloading sender hands over.
    """
    if len(packet) <= mtu or packet[9:10] != bytes([PROTO_TCP]):
        return PLAIN + packet
    return VnetHeader(0, GSO_TCPV4, 0, OFFLOADED_SEGMENT, 0, 0).write() + packet
