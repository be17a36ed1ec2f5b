"""One end of a PPP line at work: the session between a line of frames and a device of packets.

    engine = Engine(config, line, open_device, rng=rng)
    await engine.connect()              # DialError: no carrier
    opened = await engine.open()        # EndedError: nothing came of it
    opened = await engine.change()      # other addresses; EndedError: it is over
    await engine.hang_up()

Theory of operation. The session (`router.ppp.session`) knows neither time nor descriptors. Whatever
happens here, frames of the line, a timer, an order, is told to it, and then it is drained: its
events are taken first, because framing they change is that of what is sent next; its frames are
sent; one timer is set to when it wants to hear of the time again.

The device is made when packets may go, so that nothing is ever written into a line that carries
none. It is read whenever it has a packet: its queue is blind, and drops what comes when it is full.
Packets wait in the backlog (`router.ppp.backlog`) and are sent while the line is not congested; a
line buffers a frame or two. They wait as well while the session negotiates anew. That of IPCP alone
shows only when it has no frame for a packet; this one is lost. Frames of the session itself wait
for nothing: an echo request behind an upload would find the peer dead.

A session that has ended is told once, by whoever is waiting: what it says of itself, or what the
line said when its carrier went, if that is what ended it: a peer that says good-bye hangs up soon
after. The engine serves one connection after the other, one at a time.
"""

import asyncio
import logging
from collections.abc import Callable
from math import inf

from router.devices import Rng
from router.errors import DeviceError
from router.host.ppp.line import Line
from router.host.ppp.tun import PacketTun
from router.ppp.backlog import Backlog
from router.ppp.session import Session
from router.ppp.types import Closed, End, Framed, Opened, Phase, PhaseChange, SessionConfig

__all__ = ["EndedError", "Engine"]

BATCH = 32  # packets read in a row, before what has come by the line gets its turn
GRACE_S = 1.0  # seconds for the session's last words beyond its own retries

_log = logging.getLogger(__name__)
_Tap = Callable[[bytes, bool], None]


class EndedError(DeviceError):
    """The session has ended; `end` says why, the error itself in a clause for people."""

    def __init__(self, end: End, why: str) -> None:
        super().__init__(why)
        self.end = end


class Engine:
    """Keeps one session going; made, and called, where the event loop runs.

    `open_device` makes the device for what the session has come to; it is resized when that
    changes, and goes with the session. `tap` is given each frame, and whether it came in.
    """

    def __init__(
        self,
        config: SessionConfig,
        line: Line,
        open_device: Callable[[Opened], PacketTun],
        *,
        rng: Rng,
        tap: _Tap | None = None,
    ) -> None:
        self._config = config
        self._line = line
        self._open_device = open_device
        self._tap = tap
        self._loop = asyncio.get_running_loop()
        self.session = Session(config, rng=rng, now=self._loop.time())
        self.backlog = Backlog()
        self._device: PacketTun | None = None
        self._is_reading = False
        self._may_send = False  # packets
        self._timer: asyncio.TimerHandle | None = None
        self._opened: Opened | None = None
        self._ended: EndedError | None = None
        self._why_lost = ""  # the carrier, as the line says
        self._news = asyncio.Event()

    async def connect(self) -> None:
        """Have a carrier; raises DialError."""
        self._opened = self._ended = None
        self._news.clear()
        await self._line.connect()

    async def open(self) -> Opened:
        """Log in and return what there is; raises EndedError."""
        self.session.start(self._loop.time())
        self._line.begin(self._receive, self._lose, self._send_packets)
        self._drain()
        return await self.change()

    async def change(self) -> Opened:
        """Wait for something other than was last returned; raises EndedError."""
        await self._news.wait()
        if self._ended is not None:
            raise self._ended
        self._news.clear()
        assert self._opened is not None
        return self._opened

    @property
    def opened(self) -> Opened | None:
        """What the session has come to, None before and after."""
        return self._opened if self._ended is None else None

    async def hang_up(self, limit_s: float = inf) -> None:
        """End the session in good form, if that takes no longer, and take the line down.

        Bounded, raises nothing.
        """
        if self._lives():
            self.session.close(self._loop.time())
            self._drain()
            retries = self._config.retries
            own_s = retries.restart_s * retries.max_terminate + GRACE_S
            try:
                async with asyncio.timeout(min(own_s, limit_s)):
                    while self._lives():
                        self._news.clear()
                        await self._news.wait()
            except TimeoutError:
                _log.warning("a session has not ended in time")
        self._let_go()
        await self._line.disconnect()

    # The line

    def _receive(self, frames: list[bytes]) -> None:
        now, device = self._loop.time(), self._device
        for frame in frames:
            if self._tap is not None:
                self._tap(frame, True)
            packet = self.session.receive(frame, now)
            if packet is not None and device is not None:
                self._deliver(device, packet)
        self._drain()

    def _deliver(self, device: PacketTun, packet: bytes) -> None:
        try:
            device.write(packet)
        except OSError as error:
            self._lose_device(error)

    def _lose(self, why: str) -> None:
        self._why_lost = why
        self.session.carrier_lost(self._loop.time())
        self._drain()

    # The device

    def _read_device(self) -> None:
        """Have packets wait for the line."""
        assert self._device is not None
        now = self._loop.time()
        try:
            for _ in range(BATCH):
                packet = self._device.read()
                if not packet:
                    break
                self.backlog.put(packet, now)
        except OSError as error:
            self._lose_device(error)
        else:
            self._send_packets()

    def _send_packets(self) -> None:
        """Send what waits, for as long as the line takes it."""
        now = self._loop.time()
        while self._may_send and not self._line.is_congested:
            packet = self.backlog.take(now)
            if packet is None:
                break
            frame = self.session.wrap(packet)
            if frame is None:
                self._may_send = False
            else:
                self._send([frame])

    def _take_no_more(self) -> None:
        """Leave the device alone, and forget what came from it."""
        if self._is_reading and self._device is not None:
            self._loop.remove_reader(self._device)
        self._is_reading = False
        self.backlog.clear()

    def _lose_device(self, error: OSError) -> None:
        """End a session whose device somebody has deleted."""
        name = "" if self._device is None else self._device.name
        self._end(End.CLOSED, f"{name} is gone: {error.strerror}")
        self.session.close(self._loop.time())
        self._drain()

    # The session

    def _drain(self) -> None:
        """Take what the session has to tell and to send, and set its timer."""
        for event in self.session.take_events():
            match event:
                case Framed(framing):
                    self._line.set_framing(framing)
                case Opened():
                    self._open(event)
                case Closed(end):
                    self._end(end, self._why_lost if end is End.CARRIER else str(event))
                case PhaseChange(phase):
                    self._may_send = False
                    _log.debug("phase %s", phase.value)
        self._send(self.session.take_frames())
        self._send_packets()
        self._set_timer()

    def _send(self, frames: list[bytes]) -> None:
        if not frames:
            return
        if self._tap is not None:
            for frame in frames:
                self._tap(frame, False)
        self._line.send(frames)

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        due = self.session.next_deadline()
        self._timer = None if due is None else self._loop.call_at(due, self._handle_timer)

    def _handle_timer(self) -> None:
        self.session.handle_timer(self._loop.time())
        self._drain()

    def _open(self, opened: Opened) -> None:
        try:
            if self._device is None:
                self._device = self._open_device(opened)
                self._loop.add_reader(self._device, self._read_device)
                self._is_reading = True
            elif self._opened is not None and opened.mtu != self._opened.mtu:
                self._device.resize(opened.mtu)
        except DeviceError as error:
            self._end(End.CLOSED, str(error))
            self.session.close(self._loop.time())
            return
        self._may_send = True
        if opened != self._opened:
            self._opened = opened
            self._news.set()

    def _end(self, end: End, why: str) -> None:
        if self._ended is None:
            self._ended = EndedError(end, why)
        self._take_no_more()
        self._news.set()

    def _lives(self) -> bool:
        """Return whether the session has words to say or to wait for."""
        return self.session.phase is not Phase.DEAD

    def _let_go(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._take_no_more()
        if self._device is not None:
            self._device.close()
            self._device = None
