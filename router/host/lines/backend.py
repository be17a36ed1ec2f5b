"""What a line looks like from the router: it is dialled, watched and hung up, whatever it is.

    backend = CommandBackend(...)
    line = await backend.probe()            # at start: up already?
    line = await backend.dial(progress)     # DialError: the attempt came to nothing;
                                            # RefusedError: and so will the next one
    while True:
        line = await backend.watch()        # another address; LineLostError: it is no more
    await backend.hang_up()
    await backend.close()

One call at a time: `router.host.lines.supervisor` sees to it. `dial` and `watch` are broken off by
cancelling them, which takes no time; what they have begun is for `hang_up`. That is called after
every attempt and every rise, however it ended, and leaves the line down.

A backend knows nothing of packets and routes, and puts nothing on the machine but what it takes
to have an address: the supervisor plumbs what it reports (`machine.plumbing`).
"""

from collections.abc import Callable
from typing import Protocol

from router.errors import DeviceError
from router.host.machine.wanline import LineAddress

__all__ = ["Backend", "DialError", "LineAddress", "LineLostError", "RefusedError"]


class DialError(DeviceError):
    """The line could not be raised; says why in one clause, for people."""


class RefusedError(DialError):
    """The provider refused the login; trying again will not help until somebody changes something.

    Says what the provider said, or what it was that could not be agreed on.
    """


class LineLostError(DeviceError):
    """The line was up and is no more; says why in one clause, for people."""


class Backend(Protocol):
    """One line."""

    async def probe(self) -> LineAddress | None:
        """Return what the line has if it is up, None if it is down.

        Where that cannot be told it is taken down first, so that the answer is true. Called once,
        before anything else; raises DeviceError.
        """
        ...

    async def dial(self, progress: Callable[[], None]) -> LineAddress:
        """Raise the line and return what it has; takes as long as it takes.

        `progress` is called when there is a carrier and only the address is still to come. Raises
        DialError, and RefusedError where the provider would not have this login.
        """
        ...

    async def watch(self) -> LineAddress:
        """Wait until the line has something other than was last returned, and return that.

        No change between two calls is missed. Raises LineLostError, once.
        """
        ...

    async def hang_up(self) -> None:
        """Take the line down, whatever it is at; a line that is down is left alone.

        Takes no longer than the link's hang-up timeout, and raises nothing: who cannot be reached
        any more is down.
        """
        ...

    async def close(self) -> None:
        """Let go of processes and descriptors; the last call, on a line that has been hung up."""
        ...
