"""A provider without a line, and a machine without routes: for whoever tests what dials.

The provider does at once what the test says, so nothing here waits for time to pass.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from router.errors import DeviceError
from router.host.lines.backend import DialError, LineAddress, LineLostError
from router.wire.address import parse_address

ENGAGED = "the number is engaged"
LOGIN_REFUSED = "the provider refuses the login"


def a_line(address: str = "203.0.113.2", mtu: int = 1500) -> LineAddress:
    return LineAddress(parse_address(address), 24, mtu)


class BlackHole:
    """Nobody answers, for ever; `connects` if there is a carrier at least."""

    def __init__(self, *, connects: bool = False) -> None:
        self.connects = connects


@dataclass
class Flap:
    """The line comes up and is lost at once."""

    line: LineAddress
    why: str = "carrier lost"


Answer = LineAddress | str | Exception | BlackHole | Flap


class FakeBackend:
    """Implements `router.host.lines.backend.Backend`.

    Each dial meets the next of `answers`, the last one for good: an address, the reason of a
    failure, or one of the above. `found` is what the line has at the start. `calls` are those
    made so far.
    """

    def __init__(self, *answers: Answer, found: LineAddress | None = None) -> None:
        self.answers: deque[Answer] = deque(answers or (a_line(),))
        self.calls: list[str] = []
        self.dialling = asyncio.Event()  # a dial has met its answer
        self.may_hang_up = asyncio.Event()  # a test clears it to have a hang-up take its time
        self.may_hang_up.set()
        self.line = found
        self._loss = ""
        self._told = found
        self._news = asyncio.Event()

    # What happens to it

    def lose(self, why: str = "carrier lost") -> None:
        self.line, self._loss = None, why
        self._news.set()

    def renumber(self, line: LineAddress) -> None:
        self.line = line
        self._news.set()

    # The backend

    async def probe(self) -> LineAddress | None:
        self.calls.append("probe")
        return self.line

    async def dial(self, progress: Callable[[], None]) -> LineAddress:
        self.calls.append("dial")
        answer = self.answers.popleft() if len(self.answers) > 1 else self.answers[0]
        self.dialling.set()
        if isinstance(answer, str):
            raise DialError(answer)
        if isinstance(answer, Exception):
            raise answer
        if not isinstance(answer, BlackHole) or answer.connects:
            progress()
        if isinstance(answer, BlackHole):
            return await asyncio.Future()
        line = answer.line if isinstance(answer, Flap) else answer
        self.line = self._told = line
        if isinstance(answer, Flap):
            self.lose(answer.why)
        return line

    async def watch(self) -> LineAddress:
        self.calls.append("watch")
        while self.line == self._told:
            self._news.clear()
            await self._news.wait()
        self._told = self.line
        if self.line is None:
            raise LineLostError(self._loss)
        return self.line

    async def hang_up(self) -> None:
        self.calls.append("hang up")
        self.dialling.clear()
        self.line = self._told = None
        await self.may_hang_up.wait()

    async def close(self) -> None:
        self.calls.append("close")


class FakePlumbing:
    """Implements `router.host.lines.supervisor.LinePlumbing`.

    `lines` are those plumbed, `done` all that was done; `refusal` is raised by the next rise,
    `problems` are told by each fall.
    """

    def __init__(self) -> None:
        self.lines: dict[str, LineAddress] = {}
        self.done: list[str] = []
        self.refusal = ""
        self.problems: list[str] = []

    def admit(self, name: str) -> None:
        self.done.append(f"admit {name}")

    def raise_line(self, name: str, line: LineAddress) -> None:
        if self.refusal:
            refusal, self.refusal = self.refusal, ""
            raise DeviceError(refusal)
        self.done.append(f"raise {name} {line}")
        self.lines[name] = line

    def drop_line(self, name: str) -> list[str]:
        self.done.append(f"drop {name}")
        self.lines.pop(name, None)
        return self.problems
