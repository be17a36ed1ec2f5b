"""TUN devices with virtio-net headers and offloads.

A device of the wanted name is attached to, with its addresses and settings, and stays when the
descriptor is closed if it was made persistent (`ip tuntap add`). Otherwise one is created, sized
and brought up; it goes with its descriptor, however the program ends, so nothing is journalled.

Offloads let one read carry a packet of up to 64 KiB with its checksum left partial, which is
worth a factor of seven on bulk transfers.
"""

import errno
import fcntl
import os
import socket
from contextlib import suppress
from pathlib import Path

import pyroute2
import pytun

from router.errors import DeviceError
from router.host.machine import netns as namespaces
from router.wire.vnet import VNET_HEADER_LENGTH

__all__ = ["LOST", "QUEUE_LENGTH", "TunDevice", "attach", "open_tun", "silence"]

QUEUE_LENGTH = 500  # packets: 64 cost 4 % of bulk transfers, 5000 gained nothing sure

_CLONE_DEVICE = "/dev/net/tun"  # linux/Documentation/networking/tuntap.rst
_IFF_VNET_HDR = 0x4000  # this and the next from linux/if_tun.h
_TUNSETOFFLOAD = 0x400454D0
_TUNSETVNETHDRSZ = 0x400454D8
_F_CSUM, _F_TSO4, _F_TSO6, _F_USO4, _F_USO6 = 0x01, 0x02, 0x04, 0x20, 0x40
_TCP_OFFLOADS = _F_CSUM | _F_TSO4 | _F_TSO6
_ALL_OFFLOADS = _TCP_OFFLOADS | _F_USO4 | _F_USO6  # USO since Linux 6.2

# A write the kernel refuses is a lost packet: queue full, interface down, frame malformed.
LOST = frozenset({errno.EAGAIN, errno.EIO, errno.ENOBUFS, errno.ENOMEM, errno.EINVAL})


class TunDevice:
    """An open TUN device (`router.devices.Tun`); closing it removes it unless it is persistent.

    `mtu` is in bytes; `created` tells whether this program made the device.
    """

    def __init__(self, name: str, mtu: int, device: pytun.TunTapDevice, *, created: bool) -> None:
        self.name = name
        self.mtu = mtu
        self.created = created
        self._device = device

    def fileno(self) -> int:
        """Return the descriptor, non-blocking."""
        return int(self._device.fileno())

    def read_into(self, buffer: bytearray) -> int:
        """Read one frame into `buffer`, return its length, 0 when none waits.

        Raises OSError when the device has gone.
        """
        try:
            return os.readv(self.fileno(), [buffer])
        except BlockingIOError:
            return 0

    def write(self, frame: memoryview | bytes) -> None:
        """Send one frame, or lose it as a network would; raises OSError if the device has gone."""
        try:
            os.write(self.fileno(), frame)
        except OSError as error:
            if error.errno not in LOST:
                raise

    def close(self) -> None:
        """Give the device back, a persistent one without the offloads asked for here."""
        if self.fileno() < 0:  # closed before
            return
        with suppress(OSError):  # it may have been deleted under us
            fcntl.ioctl(self.fileno(), _TUNSETOFFLOAD, 0)
        self._device.close()


def open_tun(name: str, *, netns: str, mtu: int) -> TunDevice:
    """Attach to the TUN device `name` in a namespace, or create it with this MTU in bytes.

    Raises DeviceError with one sentence: no TUN driver, no right, device busy or no TUN.
    """
    with namespaces.inside(netns):
        created = not _exists(name)
        device = _attach_with_offloads(name, netns)
        try:
            if created:
                _bring_up(name, mtu)
            return TunDevice(name, mtu if created else _mtu(name), device, created=created)
        except BaseException:
            device.close()
            raise


def _exists(name: str) -> bool:
    try:
        socket.if_nametoindex(name)
    except OSError:
        return False
    return True


def attach(name: str, netns: str, flags: int = 0) -> pytun.TunTapDevice:
    """Return the TUN device `name`, of the namespace the thread is in, which is called `netns`.

    Its descriptor does not block and is not inherited. Raises DeviceError.
    """
    flags |= pytun.IFF_TUN | pytun.IFF_NO_PI
    try:
        device = pytun.TunTapDevice(name=name, flags=flags, dev=_CLONE_DEVICE)
    except OSError as error:
        raise DeviceError(_sentence(error, name, netns)) from error
    os.set_blocking(device.fileno(), False)
    os.set_inheritable(device.fileno(), False)  # what we start must not keep the device alive
    return device


def _attach_with_offloads(name: str, netns: str) -> pytun.TunTapDevice:
    device = attach(name, netns, _IFF_VNET_HDR)
    fcntl.ioctl(device.fileno(), _TUNSETVNETHDRSZ, VNET_HEADER_LENGTH.to_bytes(4, "little"))
    try:
        fcntl.ioctl(device.fileno(), _TUNSETOFFLOAD, _ALL_OFFLOADS)
    except OSError:
        fcntl.ioctl(device.fileno(), _TUNSETOFFLOAD, _TCP_OFFLOADS)
    return device


def _sentence(error: OSError, name: str, netns: str) -> str:
    where = namespaces.place(netns)
    match error.errno:
        case errno.ENOENT | errno.ENODEV | errno.ENXIO:
            return f"there is no {_CLONE_DEVICE}: load the kernel module with 'modprobe tun'"
        case errno.EPERM | errno.EACCES:
            return f"cannot open TUN device {name}{where}: this needs root (CAP_NET_ADMIN)"
        case errno.EBUSY:
            return f"TUN device {name}{where} is in use by another program"
        case errno.EINVAL:
            return f"device {name}{where} exists and is not a single-queue TUN device"
        case _:
            return f"cannot open TUN device {name}{where}: {os.strerror(error.errno or 0)}"


def silence(name: str) -> None:
    """Keep a device of this thread's namespace from speaking IPv6.

    A TUN has no neighbours: autoconfiguration would only feed the router its own noise.
    """
    quiet = Path(f"/proc/sys/net/ipv6/conf/{name}/disable_ipv6")
    if quiet.exists():
        quiet.write_text("1")


def _bring_up(name: str, mtu: int) -> None:
    silence(name)
    with pyroute2.IPRoute() as netlink:
        index = socket.if_nametoindex(name)
        netlink.link("set", index=index, mtu=mtu, txqlen=QUEUE_LENGTH, state="up")


def _mtu(name: str) -> int:
    with pyroute2.IPRoute() as netlink:
        (link,) = netlink.get_links(index=socket.if_nametoindex(name))
    return int(link.get("mtu"))
