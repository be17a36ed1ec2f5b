"""A packet as it arrives: every byte that will be used is looked at once, here."""

from typing import NamedTuple

from router.devices import Side
from router.nat.fragments import DatagramKey
from router.reasons import Reason
from router.wire.gso import offload_fits
from router.wire.icmpv4 import Icmp, Type
from router.wire.ipv4 import IPv4
from router.wire.malformed import Malformed
from router.wire.transport import WITH_PORTS, Transport, parse_transport
from router.wire.vnet import VNET_HEADER_LENGTH, VnetHeader

__all__ = ["Arrival", "check"]


class Arrival(NamedTuple):
    """One packet on its way through; `datagram` is its key as it came, before any edit."""

    packet: IPv4
    transport: Transport
    offload: VnetHeader
    side: Side
    now: float
    datagram: DatagramKey

    @property
    def is_ping(self) -> bool:
        """Whether this asks for an echo."""
        return isinstance(self.transport, Icmp) and self.transport.type == Type.ECHO

    @property
    def is_icmp_error(self) -> bool:
        """Whether this is about another packet."""
        return isinstance(self.transport, Icmp) and self.transport.is_error

    @property
    def ports_elsewhere(self) -> bool:
        """Whether the ports were in another fragment."""
        return bool(self.packet.fragment_offset) and self.packet.protocol in WITH_PORTS


def check(buffer: bytearray, length: int, side: Side, now: float) -> Arrival | Malformed | Reason:
    """Return the packet in the frame of `length` bytes, or why no packet like it ever passes."""
    packet = IPv4.parse(buffer, VNET_HEADER_LENGTH, length)
    if isinstance(packet, Malformed):
        return packet
    if packet.source_routed:
        options = packet.options()
        return options if isinstance(options, Malformed) else Reason.SOURCE_ROUTED
    transport = parse_transport(packet)
    if isinstance(transport, Malformed):
        return transport
    offload = VnetHeader.read(buffer)
    if not offload_fits(packet, offload):
        return Malformed.OFFLOAD
    return Arrival(packet, transport, offload, side, now, DatagramKey.of(packet))
