"""The hot loop: read a burst from one side, have each frame judged, write it where it goes.

Theory of operation. `make_pump` returns a function that moves one burst. Everything a frame
needs on its way is in a variable of that function; nothing is allocated for a frame but the
slice that is written. The frame stays in one buffer from read to write: the rewrite cache or
the forwarder edits it in place. Counts are kept in local variables and added to the `Port`
after the burst.

Nothing a frame does may stop the loop. A forwarder that raises has met a frame nobody thought
of: the frame is dropped, the fault counted and reported, and the next frame is read. What the
kernel refuses on write is a counter. Only a TUN that no longer exists ends the data plane,
because nothing can follow: then `Port.lost` is set.

A capture wraps `read` and `write` of the ports and has the pumps made anew, so a capture that
is off costs nothing.
"""

import errno
import os
from collections.abc import Callable
from dataclasses import dataclass

from router.devices import Side, Verdict
from router.host.dataplane.faults import Faults
from router.host.dataplane.protocols import Forwarder
from router.wire.vnet import VNET_HEADER_LENGTH

__all__ = ["BURST", "FRAME_LIMIT", "Port", "Pump", "make_pump", "send_effects"]

BURST = 64  # frames per wake-up and side: 16 cost 5 % of throughput, 256 gained nothing
FRAME_LIMIT = VNET_HEADER_LENGTH + 65535  # bytes: the longest IPv4 packet with its header

_QUEUE_FULL = frozenset({errno.EAGAIN, errno.ENOBUFS, errno.ENOMEM})
_DOWN = frozenset({errno.EIO, errno.ENETDOWN})  # a TUN answers EIO while its interface is down
_GONE = frozenset({errno.EBADFD, errno.EBADF, errno.ENODEV, errno.ENXIO})  # TUN: EBADFD

Pump = Callable[[float], None]  # takes `now`, moves one burst


@dataclass(slots=True, eq=False)
class Port:
    """One side of the data plane: its descriptor, how to use it, and what passed.

    Counts are packets, and bytes without virtio-net headers; a super-packet counts once.
    `lost` is the error that ended it.
    """

    side: Side
    name: str
    fd: int
    read: Callable[[int, list[bytearray]], int] = os.readv
    write: Callable[[int, bytes | memoryview], int] = os.write
    received_packets: int = 0
    received_bytes: int = 0
    sent_packets: int = 0
    sent_bytes: int = 0
    queue_drops: int = 0
    down_drops: int = 0
    refused_drops: int = 0
    cache_misses: int = 0
    lost: OSError | None = None

    def send(self, frame: bytes | memoryview) -> None:
        """Write one frame and count it; never raises."""
        try:
            self.write(self.fd, frame)
        except OSError as error:
            self.note_write_failure(error)
        else:
            self.sent_packets += 1
            self.sent_bytes += len(frame) - VNET_HEADER_LENGTH

    def note_write_failure(self, error: OSError) -> None:
        """Count a frame the kernel did not take."""
        if error.errno in _QUEUE_FULL:
            self.queue_drops += 1
        elif error.errno in _DOWN:
            self.down_drops += 1
        elif error.errno in _GONE:
            self.lost = error
        else:  # EINVAL: the kernel finds the frame malformed
            self.refused_drops += 1

    def note_read_failure(self, error: OSError) -> None:
        """Tell a passing trouble, such as an interface that is down, from a lost TUN."""
        if error.errno not in _DOWN:
            self.lost = error


def _nothing() -> None:
    """Nobody wants to know."""


def make_pump(
    here: Port,
    there: Port,
    forwarder: Forwarder,
    faults: Faults,
    answered: Callable[[], None] = _nothing,
) -> Pump:
    """Return the function that moves one burst of frames arriving at `here`.

    `answered` is called after the forwarder's own frames have been sent, and must not raise.
    """
    side, fd, across = here.side, here.fd, there.fd
    read, write = here.read, there.write
    lookup = forwarder.cache.forward
    slow_path = forwarder.from_lan if side is Side.LAN else forwarder.from_wan
    to_there = Verdict.TO_WAN if side is Side.LAN else Verdict.TO_LAN
    buffer = bytearray(FRAME_LIMIT)
    buffers = [buffer]
    view = memoryview(buffer)
    burst = range(BURST)
    settle = _settler(here, there, forwarder, view, answered)

    def pump(now: float) -> None:
        received = BURST
        octets = misses = kept = kept_octets = 0  # kept: read here, not written there
        for count in burst:
            try:
                length = read(fd, buffers)
            except BlockingIOError:
                received = count
                break
            except OSError as error:
                here.note_read_failure(error)
                received = count
                break
            octets += length
            try:
                verdict = lookup(side, buffer, length, now)
                if not verdict:
                    misses += 1
                    verdict = slow_path(buffer, length, now=now)
                if verdict == to_there:
                    write(across, view[:length])
                    continue
                settle(verdict, length)
            except OSError as error:
                there.note_write_failure(error)
            except Exception:
                faults.note(side, view[:length])
            kept += 1
            kept_octets += length
        here.received_packets += received
        here.received_bytes += octets - received * VNET_HEADER_LENGTH
        here.cache_misses += misses
        sent = received - kept
        there.sent_packets += sent
        there.sent_bytes += octets - kept_octets - sent * VNET_HEADER_LENGTH

    return pump


def _settler(
    here: Port,
    there: Port,
    forwarder: Forwarder,
    view: memoryview,
    answered: Callable[[], None],
) -> Callable[[Verdict, int], None]:
    """Return what deals with a frame that does not simply cross the router."""
    to_here = Verdict.TO_LAN if here.side is Side.LAN else Verdict.TO_WAN

    def settle(verdict: Verdict, length: int) -> None:
        if verdict == to_here:
            here.send(view[:length])
        elif verdict == Verdict.ANSWERED:
            send_effects(forwarder, here, there)
            answered()

    return settle


def send_effects(forwarder: Forwarder, *ports: Port) -> None:
    """Write the frames the forwarder made, each to the port of its side."""
    by_side = {port.side: port for port in ports}
    for transmit in forwarder.take_effects():
        by_side[transmit.side].send(transmit.frame)
