"""Frames on a descriptor, between the carrier and its loss.

Theory of operation. What is sent is written at once. What the descriptor does not take waits here,
and as long as anything does the flow is congested: packets shall wait in front of the line, where a
queue can drop them and short ones can overtake, and not behind, where they can only grow old. At
33,600 bit/s a frame of 1500 octets takes 0.4 s; a modem, a pty or a socket that took eight of them
would add three seconds to every key that is pressed.

So what the kernel takes is bounded as well. `burst` is how much is written until the descriptor has
to say again that it is ready. For a serial port it does so when fewer than 256 octets are left
(n_tty in Linux), time enough to write more before it runs dry. Sockets bound themselves. A pty in
place of a serial port takes 18,000 octets in no time, unless whoever is behind it stops us, as a
modem does with CTS; it is left `pause_s` to do so before it is asked again.

What comes before the first flag is a frame if it can be one. If not, it is the end of what a modem
says, and counts as no bad frame.

The loss of the carrier is told once, by the loop. Writing may fail before: frames are lost from
then on, and what can still be read is read before the loss is told.
"""

import asyncio
import os
from collections.abc import Callable, Iterable

from router.wire.hdlc import Decoder, Encoder, Framing

__all__ = ["FLAWS", "MRU", "Flow"]

MRU = 1500  # octets (RFC 1661 section 6.1)
MOST_WAITING = 1 << 20  # octets: a peer that asks and does not listen costs no more memory

FLAWS = ("bad-fcs", "aborted", "too-long", "runt")

_FLAG = b"\x7e"  # between frames (RFC 1662 section 3.1)
_READ = 16384  # octets at once: as the shortest of frames they take 0.1 s to answer
_HUNG_UP = "carrier lost"


class Flow:
    """Frames both ways, from `start` to the loss or `stop`; the callbacks are those of `Line`."""

    def __init__(
        self,
        descriptor: int,
        burst: int,
        *,
        receive: Callable[[list[bytes]], None],
        lost: Callable[[str], None],
        ready: Callable[[], None],
        pause_s: float = 0.0,
    ) -> None:
        self._descriptor = descriptor
        self._pause_s = pause_s
        self._pause: asyncio.TimerHandle | None = None
        self._burst = self._may_write = burst
        self._receive, self._lost, self._ready = receive, lost, ready
        self._decoder = Decoder(MRU)
        self._beginning: Decoder | None = Decoder(MRU)  # until the first flag
        self._encoder = Encoder(Framing())
        self._loop = asyncio.get_running_loop()
        self._waiting = bytearray()
        self._awaits_room = False
        self._is_over = False  # nobody is called any more
        self._takes_frames = True
        self._left = asyncio.Event()  # nothing waits any more

    def start(self, heard: bytes) -> None:
        """Begin with octets that have been read already."""
        if heard:
            self._loop.call_soon(self._hear, heard)
        self._loop.add_reader(self._descriptor, self._read)

    async def finish(self) -> None:
        """Call nobody any more, and wait until what was sent is on its way."""
        self._is_over = True
        self._takes_frames = False
        self._loop.remove_reader(self._descriptor)
        while self._waiting:
            self._left.clear()
            await self._left.wait()

    def stop(self) -> None:
        """Call nobody any more, and leave the descriptor alone."""
        self._is_over = True
        self._take_no_more()
        self._loop.remove_reader(self._descriptor)
        self._await_room(wanted=False)

    @property
    def is_over(self) -> bool:
        """Whether the carrier is lost."""
        return self._is_over

    @property
    def bad_frames(self) -> dict[str, int]:
        """How many frames came damaged, by each flaw."""
        decoder = self._decoder
        counts = (decoder.bad_fcs, decoder.aborted, decoder.too_long, decoder.runts)
        return dict(zip(FLAWS, counts, strict=True))

    # Sending

    @property
    def is_congested(self) -> bool:
        """Whether anything waits."""
        return bool(self._waiting)

    def set_framing(self, framing: Framing) -> None:
        """Send frames in this way from now on."""
        self._encoder = Encoder(framing)

    def send(self, frames: Iterable[bytes]) -> None:
        """Send frames, or lose them where there is no carrier or no end of what waits."""
        if not self._takes_frames or len(self._waiting) > MOST_WAITING:
            return
        self._waiting += self._encoder.encode(frames)
        if not self._awaits_room:
            self._write()

    def _write(self) -> None:
        try:
            while self._waiting and self._may_write > 0:
                written = os.write(self._descriptor, self._waiting[: self._may_write])
                del self._waiting[:written]
                self._may_write -= written
        except BlockingIOError:
            pass
        except OSError as error:
            self._take_no_more()
            self._loop.call_soon(self._read_last, error)
        self._await_room(wanted=bool(self._waiting) or self._may_write <= 0)
        if self._may_write <= 0 and self._pause_s and self._awaits_room:
            self._rest()

    def _go_on(self) -> None:
        """Write more, because the descriptor is ready."""
        was_congested = self.is_congested
        self._may_write = self._burst
        self._write()
        if was_congested and not self.is_congested:
            self._left.set()
            if not self._is_over:
                self._ready()

    def _await_room(self, *, wanted: bool) -> None:
        if wanted == self._awaits_room:
            return
        self._awaits_room = wanted
        if wanted:
            self._ask()
        else:
            self._stop_asking()

    def _rest(self) -> None:
        self._stop_asking()
        self._pause = self._loop.call_later(self._pause_s, self._ask)

    def _ask(self) -> None:
        """Be told when the descriptor is ready."""
        self._pause = None
        self._loop.add_writer(self._descriptor, self._go_on)

    def _stop_asking(self) -> None:
        if self._pause is not None:
            self._pause.cancel()
            self._pause = None
        self._loop.remove_writer(self._descriptor)

    def _take_no_more(self) -> None:
        self._takes_frames = False
        self._waiting.clear()
        self._left.set()

    # Receiving

    def _read(self) -> None:
        try:
            octets = os.read(self._descriptor, _READ)
        except BlockingIOError:
            return
        except OSError as error:
            self._lose(error)
            return
        if octets:
            self._hear(octets)
        else:
            self._lose()

    def _read_last(self, error: OSError) -> None:
        if not self._is_over:
            self._read()
        self._lose(error)

    def _hear(self, octets: bytes) -> None:
        if self._is_over:
            return
        frames = self._decode(octets)
        if frames:
            self._receive(frames)

    def _decode(self, octets: bytes) -> list[bytes]:
        frames = []
        if self._beginning is not None:
            before, flag, octets = octets.partition(_FLAG)
            frames = self._beginning.feed(before + flag)
            if flag:
                self._beginning = None
        return frames + self._decoder.feed(octets)

    def _lose(self, error: OSError | None = None) -> None:
        if self._is_over:
            return
        self.stop()
        self._lost(_HUNG_UP if error is None else _why(error))


def _why(error: OSError) -> str:
    """Return why a carrier was lost; where the system says no more than that, neither do we."""
    if isinstance(error, TimeoutError | ConnectionResetError) and error.strerror:
        return f"{_HUNG_UP}: {error.strerror.lower()}"
    return _HUNG_UP
