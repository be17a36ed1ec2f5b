"""Which card a LAN address belongs to, as the kernel has learnt it by ARP.

Theory of operation. The packet path asks, on its own thread, when a host opens a session. One
question for one address goes to the kernel through a socket that stays open, and the answer is
there when the question has been sent: no waiting, no list. Answers are kept for a while, unknown
ones for less, because a host is often asked about just before it has been heard. As many are kept
as a LAN has hosts, the oldest give way.

What goes wrong is an unknown card, never an exception. Where the LAN is a TUN there are no cards.
"""

import fcntl
import socket
import struct
import time

from router.devices import Clock
from router.errors import DeviceError
from router.host.machine import netns as namespaces

__all__ = ["CACHE_S", "MOST_KEPT", "UNKNOWN_S", "KernelNeighbours"]

CACHE_S = 10.0  # seconds: a card that takes over an address is seen within this
UNKNOWN_S = 1.0  # seconds until the next question about a card that was not known
MOST_KEPT = 1024  # addresses: a LAN of 1000 hosts, 150 KB

_SIOCGIFINDEX = 0x8933  # linux/sockios.h
_RTM_GETNEIGH, _RTM_NEWNEIGH = 30, 28  # linux/rtnetlink.h
_NLM_F_REQUEST = 1  # linux/netlink.h
_NDA_DST, _NDA_LLADDR = 1, 2  # linux/neighbour.h
_NUD_KNOWN = 0x02 | 0x04 | 0x08 | 0x10 | 0x80  # reachable, stale, delay, probe, permanent
_HEADER = struct.Struct("=IHHII")  # nlmsghdr: length, type, flags, sequence, port
_MESSAGE = struct.Struct("=BxxxiHBB")  # ndmsg: family, interface, state, flags, type
_ATTRIBUTE = struct.Struct("=HH")  # length with this header, type
_REQUEST = _HEADER.size + _MESSAGE.size + _ATTRIBUTE.size + 4
_ANSWER = 4096  # bytes: an answer has some 100
_MAC = 6  # bytes


class KernelNeighbours:
    """Implements `router.devices.Neighbours`; for one thread at a time."""

    def __init__(self, netns: str, device: str | None, clock: Clock = time.monotonic) -> None:
        """Ask about `device`, None for none; raises DeviceError without the namespace."""
        self._clock = clock
        self._known: dict[int, tuple[str, float]] = {}
        self._sequence = 0
        self._socket: socket.socket | None = None
        if device is not None:
            self._interface = struct.pack("16s16x", device.encode())
            self._socket = _open(netns)

    def mac_of(self, address: int) -> str:
        """Return the MAC address, lower case with colons, "" where it is not known."""
        if self._socket is None:
            return ""
        now = self._clock()
        mac, until = self._known.get(address, ("", now))
        if now < until:
            return mac
        try:
            mac = self._ask(self._socket, address)
        except (OSError, struct.error):
            mac = ""
        self._keep(address, mac, now)
        return mac

    def close(self) -> None:
        """Let go of the socket; all cards are unknown from here on."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _keep(self, address: int, mac: str, now: float) -> None:
        self._known.pop(address, None)
        if len(self._known) >= MOST_KEPT:
            del self._known[next(iter(self._known))]
        self._known[address] = mac, now + (CACHE_S if mac else UNKNOWN_S)

    def _ask(self, kernel: socket.socket, address: int) -> str:
        # The number is asked for each time: a bridge or a USB card may have been made anew.
        found = fcntl.ioctl(kernel, _SIOCGIFINDEX, self._interface)
        (index,) = struct.unpack_from("=i", found, 16)
        self._sequence = self._sequence + 1 & 0xFFFFFFFF
        question = (
            _HEADER.pack(_REQUEST, _RTM_GETNEIGH, _NLM_F_REQUEST, self._sequence, 0)
            + _MESSAGE.pack(socket.AF_INET, index, 0, 0, 0)
            + _ATTRIBUTE.pack(_ATTRIBUTE.size + 4, _NDA_DST)
            + address.to_bytes(4, "big")
        )
        kernel.send(question)
        while True:  # ends with BlockingIOError when there is no answer to this question
            answer = kernel.recv(_ANSWER)
            _, kind, _, sequence, _ = _HEADER.unpack_from(answer)
            if sequence == self._sequence:
                return _mac_in(answer) if kind == _RTM_NEWNEIGH else ""


def _open(netns: str) -> socket.socket:
    kind = socket.SOCK_RAW | socket.SOCK_NONBLOCK
    with namespaces.inside(netns):
        try:
            kernel = socket.socket(socket.AF_NETLINK, kind, socket.NETLINK_ROUTE)
            kernel.bind((0, 0))
        except OSError as error:
            raise DeviceError(f"cannot ask the kernel for neighbours: {error.strerror}") from error
    return kernel


def _mac_in(answer: bytes) -> str:
    _, _, state, _, _ = _MESSAGE.unpack_from(answer, _HEADER.size)
    if not state & _NUD_KNOWN:
        return ""
    at = _HEADER.size + _MESSAGE.size
    while at + _ATTRIBUTE.size <= len(answer):
        length, kind = _ATTRIBUTE.unpack_from(answer, at)
        if kind == _NDA_LLADDR and length == _ATTRIBUTE.size + _MAC:
            return answer[at + _ATTRIBUTE.size :][:_MAC].hex(":")
        at += max(_ATTRIBUTE.size, length + 3 & ~3)
    return ""
