"""A TUN in memory: one end for the router, the other for the test.

It passes the conformance suite of `tests/router/host/machine/test_tun.py`, as the real device
does. The descriptor is real, so what waits on descriptors works. SOCK_SEQPACKET keeps frames apart
and is full sooner or later.
"""

import errno
import os
import socket

from router.wire.vnet import PLAIN, VNET_HEADER_LENGTH

_QUEUE_BYTES = 1 << 20  # a few of the longest frames must fit
_FRAME_BYTES = VNET_HEADER_LENGTH + 65535


class FakeTun:
    """A `router.devices.Tun`; `put` and `got` are the network behind it."""

    def __init__(self, name: str = "lan0", mtu: int = 1500) -> None:
        self.name = name
        self.mtu = mtu
        self._near, self._far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        for end in (self._near, self._far):
            end.setblocking(False)
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _QUEUE_BYTES)

    def fileno(self) -> int:
        return self._near.fileno()

    def read_into(self, buffer: bytearray) -> int:
        try:
            length = self._near.recv_into(buffer)
        except BlockingIOError:
            return 0
        if not length:
            raise OSError(errno.EBADFD, os.strerror(errno.EBADFD))
        return length

    def write(self, frame: memoryview | bytes) -> None:
        try:
            self._near.send(frame)
        except BlockingIOError:
            pass
        except BrokenPipeError:
            raise OSError(errno.EBADFD, os.strerror(errno.EBADFD)) from None

    def put(self, *packets: bytes) -> None:
        """Send packets from the network to the router."""
        for packet in packets:
            self._far.send(PLAIN + packet)

    def got(self) -> list[bytes]:
        """Return the packets the router has sent since the last call."""
        packets = []
        while True:
            try:
                packets.append(self._far.recv(_FRAME_BYTES)[VNET_HEADER_LENGTH:])
            except BlockingIOError:
                return packets

    def vanish(self) -> None:
        """Delete the device under whoever has it open."""
        self._far.close()

    def close(self) -> None:
        self._near.close()
        self._far.close()
