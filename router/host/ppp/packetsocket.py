"""Whole Ethernet frames of one protocol, on one device of a namespace.

The kernel passes on what begins with a prefix, the device's own MAC address to begin with: what
hosts beside us say to each other wakes nobody. Closing the socket is all there is to undo.
"""

import ctypes
import errno
import fcntl
import os
import socket
import struct
from enum import Enum

from router.errors import DeviceError
from router.host.machine import netns as namespaces

__all__ = ["ETHERNET_HEADER", "PacketSocket", "Room"]

ETHERNET_HEADER = 14  # octets: destination, source, type

_ARPHRD_ETHER = 1  # linux/if_arp.h
_SO_ATTACH_FILTER = 26  # this and the next from asm-generic/socket.h
_SO_RCVBUFFORCE = 33
_SIOCGIFFLAGS, _SIOCGIFMTU, _SIOCETHTOOL = 0x8913, 0x8921, 0x8946  # linux/sockios.h
_IFF_UP = 0x1  # linux/if.h
_IFREQ = struct.Struct("16si20x")  # linux/if.h: name, and a union of which we read a number
_IFREQ_POINTER = struct.Struct("16sP16x")  # or fill in a pointer
_ETHTOOL_GLINK = 0xA  # linux/ethtool.h: whether there is a carrier, at once; IFF_RUNNING is late
_ETHTOOL_VALUE = struct.Struct("II")  # command, answer
_RECEIVE_BUFFER = 1 << 20  # bytes, as the kernel counts: some 40 ms of frames at 100 Mbit/s
_LONGEST = (
    65536  # bytes: longer than an Ethernet frame, since a kernel may merge what arrives (GRO)
)

_INSTRUCTION = struct.Struct("=HBBI")  # linux/filter.h: struct sock_filter
_LOADS = {4: 0x20, 2: 0x28, 1: 0x30}  # linux/bpf_common.h: BPF_LD | BPF_ABS, by size
_JUMP_IF_EQUAL, _RETURN = 0x15, 0x06
_WHOLE = 0xFFFFFFFF


class Room(Enum):
    """Whether there was room for a frame."""

    THERE = "there"
    NOT_IN_SOCKET = "not in the socket"  # which becomes writable when there is again
    NOT_ON_DEVICE = "not on the device"  # which does not tell


_FULL = {errno.EAGAIN: Room.NOT_IN_SOCKET, errno.ENOBUFS: Room.NOT_ON_DEVICE}


class PacketSocket:
    """A packet socket that never blocks; `mac` is the device's address.

    Opening raises DeviceError, a clause about the device.
    """

    def __init__(self, netns: str, device: str, protocol: int) -> None:
        self._device = device
        self._buffer = bytearray(_LONGEST)
        with namespaces.inside(netns):
            self._socket = self._opened()
        try:
            self.mac = self._bound(protocol)
        except BaseException:
            self._socket.close()
            raise

    def fileno(self) -> int:
        """Return the descriptor, to wait on."""
        return self._socket.fileno()

    def receive(self) -> bytes | None:
        """Return a frame, None when none waits; raises DeviceError when the device has gone."""
        try:
            length = self._socket.recv_into(self._buffer)
        except BlockingIOError:
            return None
        except OSError as error:
            raise DeviceError(self._trouble(error)) from error
        return bytes(memoryview(self._buffer)[:length])

    def send(self, frame: bytes) -> Room:
        """Send a frame, or lose it where the device has gone or is too small for it.

        Tells whether there was room for it; where there was none it was not sent.
        """
        try:
            self._socket.send(frame)
        except OSError as error:
            return _FULL.get(error.errno or 0, Room.THERE)
        return Room.THERE

    def narrow(self, prefix: bytes) -> None:
        """Have the kernel pass on only frames that begin like this."""
        program = _program(prefix)
        kept = ctypes.create_string_buffer(program, len(program))
        count = len(program) // _INSTRUCTION.size
        head = struct.pack("HP", count, ctypes.addressof(kept))
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, head)

    def trouble(self) -> str:
        """Return what is wrong with the device, as a clause; "" for nothing."""
        try:
            if not self._asked(_SIOCGIFFLAGS) & _IFF_UP:
                return f"{self._device} is down"
            return "" if self._has_carrier() else f"no carrier on {self._device}"
        except OSError as error:
            return self._trouble(error)

    def mtu(self) -> int:
        """Return the device's MTU in bytes; raises DeviceError."""
        try:
            return self._asked(_SIOCGIFMTU)
        except OSError as error:
            raise DeviceError(self._trouble(error)) from error

    def close(self) -> None:
        """Close it."""
        self._socket.close()

    def _opened(self) -> socket.socket:
        try:
            return socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_NONBLOCK, 0)
        except PermissionError:
            raise DeviceError(
                f"cannot read frames of {self._device}: this needs root (CAP_NET_RAW)"
            ) from None

    def _bound(self, protocol: int) -> bytes:
        try:
            self._socket.bind((self._device, 0))  # of no protocol yet: nothing comes unfiltered
            _, _, _, kind, mac = self._socket.getsockname()
            if kind != _ARPHRD_ETHER:
                raise DeviceError(f"{self._device} is no Ethernet device")
            self.narrow(mac)
            self._socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _RECEIVE_BUFFER)
            self._socket.bind((self._device, protocol))
        except OSError as error:
            raise DeviceError(self._trouble(error)) from error
        return bytes(mac)

    def _asked(self, request: int) -> int:
        asked = _IFREQ.pack(self._device.encode(), 0)
        _, number = _IFREQ.unpack(fcntl.ioctl(self._socket, request, asked))
        return int(number)

    def _has_carrier(self) -> bool:
        question = ctypes.create_string_buffer(_ETHTOOL_VALUE.pack(_ETHTOOL_GLINK, 0))
        asked = _IFREQ_POINTER.pack(self._device.encode(), ctypes.addressof(question))
        try:
            fcntl.ioctl(self._socket, _SIOCETHTOOL, asked)
        except OSError as error:
            if error.errno != errno.EOPNOTSUPP:
                raise
            return True  # as far as its driver knows
        return bool(_ETHTOOL_VALUE.unpack_from(question)[1])

    def _trouble(self, error: OSError) -> str:
        if error.errno == errno.ENETDOWN:  # down, or on its way out
            return self.trouble() or f"{self._device} was down"
        if error.errno in (errno.ENODEV, errno.ENXIO):
            return f"{self._device} is gone"
        return f"{self._device} does not work: {os.strerror(error.errno or 0)}"


def _program(prefix: bytes) -> bytes:
    """Return a classic BPF program that accepts what begins with the prefix."""
    pieces, at = [], 0
    while at < len(prefix):
        size = next(size for size in _LOADS if at + size <= len(prefix))
        pieces.append((at, size))
        at += size
    instructions = []
    for left, (at, size) in zip(range(len(pieces), 0, -1), pieces, strict=True):
        rest = 2 * left - 1  # instructions from the jump to the refusal at the end
        instructions.append((_LOADS[size], 0, 0, at))
        instructions.append(
            (_JUMP_IF_EQUAL, 0, rest, int.from_bytes(prefix[at : at + size], "big"))
        )
    instructions += [(_RETURN, 0, 0, _WHOLE), (_RETURN, 0, 0, 0)]
    return b"".join(_INSTRUCTION.pack(*each) for each in instructions)
