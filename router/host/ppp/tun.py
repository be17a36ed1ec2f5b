"""The device of packets at the end of a PPP line.

Unlike the router's own TUNs (`host.machine.tun`) it has no virtio-net headers and no offloads: what
is read is a packet as it goes on the line, cut and with all checksums by the kernel. It is made
when the line is up, and goes when it is closed, however the program ends.
"""

import os

import pyroute2
import pytun

from router.host.machine import netns as namespaces
from router.host.machine.tun import LOST, attach, bring_up
from router.wire.address import MAX_PREFIX, format_address

__all__ = ["PacketTun", "open_packet_tun"]

_LONGEST = 65536  # octets: more than any packet


class PacketTun:
    """An open TUN device without headers."""

    def __init__(self, name: str, netns: str, device: pytun.TunTapDevice) -> None:
        self.name = name
        self._netns = netns
        self._device = device

    def fileno(self) -> int:
        """Return the descriptor, non-blocking."""
        return int(self._device.fileno())

    def read(self) -> bytes:
        """Return one packet, b"" when none waits; raises OSError when the device has gone."""
        try:
            return os.read(self.fileno(), _LONGEST)
        except BlockingIOError:
            return b""

    def write(self, packet: bytes) -> None:
        """Send one packet, or lose it as a network would; raises OSError if the device has gone."""
        try:
            os.write(self.fileno(), packet)
        except OSError as error:
            if error.errno not in LOST:
                raise

    def resize(self, mtu: int) -> None:
        """Have the device take packets up to `mtu` octets; raises NetlinkError."""
        with namespaces.netlink(self._netns) as netlink:
            netlink.link("set", index=_index(netlink, self.name), mtu=mtu)

    def point_to(self, address: int, peer_address: int) -> None:
        """Give the device its two addresses, and with them a route to the peer.

        Raises NetlinkError.
        """
        with namespaces.netlink(self._netns) as netlink:
            netlink.addr(
                "add",
                index=_index(netlink, self.name),
                local=format_address(address),
                address=format_address(peer_address),
                prefixlen=MAX_PREFIX,
            )

    def close(self) -> None:
        """Have the device gone."""
        if self.fileno() >= 0:
            self._device.close()


def open_packet_tun(name: str, *, netns: str, mtu: int) -> PacketTun:
    """Make a TUN device of this name in a namespace; raises DeviceError with one sentence."""
    with namespaces.inside(netns):
        device = attach(name, netns)
        try:
            bring_up(name, mtu)
        except BaseException:
            device.close()
            raise
    return PacketTun(name, netns, device)


def _index(netlink: pyroute2.IPRoute, name: str) -> int:
    return int(netlink.link_lookup(ifname=name)[0])
