"""The device of packets at the end of a PPP line.

Unlike the router's own TUNs (`host.machine.tun`) it has no virtio-net headers and no offloads: what
is read is a packet as it goes on the line, cut and with all checksums by the kernel. It is made
when the line is up, and goes when it is closed, however the program ends.

It is set up by ioctls (netdevice(7)), which take no time, so that the event loop may do it.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytun

from router.errors import DeviceError
from router.host.machine import netns as namespaces
from router.host.machine.tun import LOST, attach, silence
from router.wire.address import format_address

__all__ = ["PacketTun", "open_packet_tun"]

_LONGEST = 65536  # octets: more than any packet
_HOST_MASK = "255.255.255.255"  # of one end of a point-to-point link


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
        """Have the device take packets up to `mtu` octets; raises DeviceError."""
        with self._setting():
            self._device.mtu = mtu

    def point_to(self, address: int, peer_address: int) -> None:
        """Give the device its two addresses, and with them a route to the peer.

        Raises DeviceError.
        """
        with self._setting():
            self._device.addr = format_address(address)
            self._device.dstaddr = format_address(peer_address)
            self._device.netmask = _HOST_MASK

    def start(self, mtu: int) -> None:
        """Size the device and have it up, silent but for IPv4; raises DeviceError."""
        with self._setting():
            silence(self.name)
            self._device.mtu = mtu
            self._device.up()

    def close(self) -> None:
        """Have the device gone."""
        if self.fileno() >= 0:
            self._device.close()

    @contextmanager
    def _setting(self) -> Iterator[None]:
        """Be where the device is; what the system refuses there is a DeviceError."""
        try:
            with namespaces.inside(self._netns):
                yield
        except OSError as error:
            reason = os.strerror(error.errno or 0)
            raise DeviceError(f"cannot set up TUN device {self.name}: {reason}") from error


def open_packet_tun(name: str, *, netns: str, mtu: int) -> PacketTun:
    """Make a TUN device of this name in a namespace; raises DeviceError with one sentence."""
    with namespaces.inside(netns):
        tun = PacketTun(name, netns, attach(name, netns))
    try:
        tun.start(mtu)
    except BaseException:
        tun.close()
        raise
    return tun
