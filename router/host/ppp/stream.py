"""A line that carries octets: a port, a chat with the modem behind it, frames in HDLC framing.

Theory of operation. A connect opens the port and holds a chat. There is one chat per number: after
one that came to nothing the next connect has the next, in a circle, and after a success the same
again. A dial that was broken off counts as one that came to nothing, because that is how numbers
end that are never answered.

What comes after the chat's end belongs to the peer: it is decoded first, then what the port brings.

Closing the port hangs up. A modem that cannot hear that has a hang-up chat, whose end, good or bad,
is not waited for longer than `HANG_UP_S`; what was sent before is on its way by then, as far as
`LINGER_S` allow.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence

from router.chat.machine import Chat
from router.errors import RouterError
from router.host.lines.backend import DialError
from router.host.ppp.conversation import converse
from router.host.ppp.flow import FLAWS, MRU, Flow
from router.host.ppp.port import Port
from router.wire.hdlc import Framing

__all__ = ["StreamLine"]

HANG_UP_S = 5.0  # seconds for a hang-up chat: the guard times of "+++" are two of them
LINGER_S = 1.0  # seconds for the last frames: Terminate-Ack is one, of no great length

_FRAME = MRU + 10  # octets: protocol, address and control, FCS, two flags, some escapes
_QUEUE_S = 0.25  # seconds a port may take to send what it has taken, if that holds two frames
_PAUSE = 16  # of a burst's time: long enough to be stopped in, too short for a port to run dry
_OCTET_BITS = 10  # on a serial line, with its start and stop bits
_UNBOUNDED = 65536  # octets at once into a port without a speed

_log = logging.getLogger(__name__)


class StreamLine:
    """Implements `router.host.ppp.line.DialledLine`.

    `chats` makes a chat for each number; none at all is a line without a modem. `speed` is that of
    a serial port, bit/s, 0 where there is none.
    """

    mru = MRU
    is_async = True

    def __init__(
        self,
        port: Port,
        chats: Sequence[Callable[[], Chat]] = (),
        *,
        hang_up_chat: Callable[[], Chat] | None = None,
        speed: int = 0,
    ) -> None:
        self._port = port
        self._chats = tuple(chats)
        self._hang_up_chat = hang_up_chat
        self._burst = _burst(speed)
        self._pause_s = self._burst * _OCTET_BITS / speed / _PAUSE if speed else 0.0
        self._turn = 0
        self._is_open = False
        self._heard = b""  # after the chat
        self._reports: tuple[str, ...] = ()
        self._flow: Flow | None = None
        self._bad_frames = Counter(dict.fromkeys(FLAWS, 0))  # of flows that are over

    async def connect(self) -> None:
        """Open the port and dial."""
        self._heard = b""
        await self._port.open()
        self._is_open = True
        if self._chats:
            await self._dial()
        self._port.heed_carrier()

    def begin(
        self,
        receive: Callable[[list[bytes]], None],
        lost: Callable[[str], None],
        ready: Callable[[], None],
    ) -> None:
        """Let frames flow."""
        descriptor = self._port.descriptor
        self._flow = Flow(
            descriptor,
            self._burst,
            receive=receive,
            lost=lost,
            ready=ready,
            pause_s=self._pause_s,
        )
        self._flow.start(self._heard)

    def send(self, frames: Iterable[bytes]) -> None:
        """Send frames."""
        if self._flow is not None:
            self._flow.send(frames)

    @property
    def is_congested(self) -> bool:
        """Whether what was sent waits here."""
        return self._flow is not None and self._flow.is_congested

    def set_framing(self, framing: Framing) -> None:
        """Have frames sent in this way from now on."""
        if self._flow is not None:
            self._flow.set_framing(framing)

    @property
    def carrier(self) -> str:
        """What the chat's REPORT has collected."""
        return ", ".join(self._reports)

    @property
    def bad_frames(self) -> Mapping[str, int]:
        """How many frames came damaged, by flaw."""
        counts = self._bad_frames.copy()
        if self._flow is not None:
            counts.update(self._flow.bad_frames)
        return counts

    async def disconnect(self) -> None:
        """Hang up and close the port."""
        self._bad_frames.update({} if self._flow is None else self._flow.bad_frames)
        self._reports = ()
        is_open, self._is_open = self._is_open, False
        flow, self._flow = self._flow, None
        try:
            has_carrier = is_open and (flow is None or not flow.is_over)
            if flow is not None:
                await _part(flow)
            if has_carrier and self._hang_up_chat is not None:
                await self._hang_up(self._hang_up_chat)
        finally:
            await self._port.close()

    async def _dial(self) -> None:
        try:
            done = await converse(_made(self._chats[self._turn]), self._port)
        except BaseException:
            self._turn = (self._turn + 1) % len(self._chats)
            raise
        self._heard, self._reports = done.rest, done.reports

    async def _hang_up(self, chat: Callable[[], Chat]) -> None:
        try:
            async with asyncio.timeout(HANG_UP_S):
                await converse(_made(chat), self._port)
        except (DialError, TimeoutError) as error:
            _log.debug("%s: hanging up: %s", self._port.name, error or "no end in time")


async def _part(flow: Flow) -> None:
    """Have the last frames on their way."""
    try:
        async with asyncio.timeout(LINGER_S):
            await flow.finish()
    except TimeoutError:
        _log.debug("a line takes no more frames")
    finally:
        flow.stop()


def _made(chat: Callable[[], Chat]) -> Chat:
    """Return a chat; its script, and files with secrets that it sends, may be wrong or missing."""
    try:
        return chat()
    except RouterError as error:
        raise DialError("; ".join(str(error).splitlines())) from error


def _burst(speed: int) -> int:
    """Return how many octets the kernel may be given between two looks at what it has left."""
    if not speed:
        return _UNBOUNDED
    return max(2 * _FRAME, round(speed / _OCTET_BITS * _QUEUE_S))
