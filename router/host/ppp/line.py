"""A line that carries PPP frames, whatever it is made of.

    line = StreamLine(TtyPort(...), chat)
    await line.connect()                  # DialError: no carrier
    line.begin(receive, lost, ready)      # frames flow
    line.send(frames)
    ...
    await line.disconnect()

Used from one event loop. `connect` may be broken off by cancelling it; what it has begun is for
`disconnect`, which is called after every `connect`, however it ended, and leaves the line down.
A line may be connected again after that.

`router.host.ppp.stream` is the line for octets (serial port, program on a pty, TCP), with a chat
with the modem first; `router.host.ppp.ethernet` is PPPoE.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

from router.wire.hdlc import Framing

__all__ = ["DialledLine", "Line"]


class Line(Protocol):
    """One line.

    `mru` is the largest packet it can carry, bytes: 1500, or 1492 on Ethernet (RFC 2516 section
    7). `is_async` is whether frames are escaped on it, which LCP negotiates about.
    """

    mru: int
    is_async: bool

    async def connect(self) -> None:
        """Have a carrier: dial, or find an access concentrator; takes as long as it takes.

        Raises `router.host.lines.backend.DialError`, whose clause says what went wrong.
        """
        ...

    def begin(
        self,
        receive: Callable[[list[bytes]], None],
        lost: Callable[[str], None],
        ready: Callable[[], None],
    ) -> None:
        """Let frames flow, from the first octet after the carrier on.

        `receive` is given whole frames as they come, never an empty list. `lost` is called once,
        with a clause for people, when the carrier is gone, and nothing after it. `ready` is called
        when a line that was congested is so no longer.
        """
        ...

    def send(self, frames: Iterable[bytes]) -> None:
        """Send frames, built as in `wire.ppp`; on a line that was lost they are lost too.

        They are all taken; whoever sees that the line `is_congested` waits with more.
        """
        ...

    @property
    def is_congested(self) -> bool:
        """Whether what was given to `send` still waits here, because the line is slower."""
        ...

    def set_framing(self, framing: Framing) -> None:
        """Have frames sent in this way from now on; nothing where `is_async` is not."""
        ...

    async def disconnect(self) -> None:
        """Take the line down; bounded, raises nothing, also after a failed or cancelled dial."""
        ...


class DialledLine(Line, Protocol):
    """A line that we raise, with what is worth knowing of it."""

    @property
    def carrier(self) -> str:
        """What the modem reports of the carrier, or what is in its place; "" while there is none.

        Holds nothing that was sent to the modem.
        """
        ...

    @property
    def bad_frames(self) -> Mapping[str, int]:
        """How many frames came damaged since the line was made, by each flaw they may have."""
        ...
