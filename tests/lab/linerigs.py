"""Every kind of line with its provider in a test's hand, for the suite all backends pass.

The provider is the box's `outside`, or files that the commands of the line look at.
"""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar, Protocol

from router.host.lines.backend import Backend, LineAddress, RefusedError
from router.host.lines.command import CommandBackend, Commands
from router.host.lines.static import StaticBackend
from router.host.machine import netns
from router.wire.address import parse_address
from tests.lab.box import Box, run
from tests.lab.lines import ENGAGED, LOGIN_REFUSED, Answer, BlackHole, FakeBackend, a_line

LINE = LineAddress(parse_address("203.0.113.2"), 24, 1500, parse_address("203.0.113.1"))
OTHER = LineAddress(parse_address("203.0.113.77"), 24, 1500, parse_address("203.0.113.1"))
PATIENCE_S = 10.0  # seconds for another process to get round to it


async def eventually(holds: Callable[[], object]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not holds():
            await asyncio.sleep(0.01)


class Rig(Protocol):
    """A line and its provider.

    `can` are the things that can happen to it: fail, login where it can be refused that, stall,
    lose, renumber, and hang-up where it is down once it has been hung up.
    """

    can: ClassVar[frozenset[str]]
    line: LineAddress
    other: LineAddress

    def backend(self) -> Backend:
        """Return a backend for it, as of a program that has just been started."""
        ...

    def refuse(self) -> str:
        """Have dials fail from now on; return the reason."""
        ...

    def refuse_login(self) -> str:
        """Have dials fail from now on because the provider wants another login; return that."""
        ...

    def stall(self) -> None:
        """Have dials come to no end from now on."""
        ...

    async def stalled(self) -> None:
        """Wait until a dial is under way."""
        ...

    def answer(self) -> None:
        """Have dials succeed again."""
        ...

    def lose(self) -> None:
        """Have the line fail while it is up."""
        ...

    def renumber(self) -> None:
        """Give the line that is up its other address."""
        ...

    def leftovers(self) -> str:
        """Return what is on the machine because of the line."""
        ...


class FakeRig:
    can: ClassVar = frozenset({"fail", "login", "stall", "lose", "renumber", "hang-up"})
    line, other = a_line(), a_line("203.0.113.77")

    def __init__(self) -> None:
        self._made = FakeBackend(self.line)

    def backend(self) -> Backend:
        former, self._made = self._made, FakeBackend(*self._made.answers, found=self._made.line)
        self._made.answers = former.answers
        return self._made

    def refuse(self) -> str:
        self._set(ENGAGED)
        return ENGAGED

    def refuse_login(self) -> str:
        self._set(RefusedError(LOGIN_REFUSED))
        return LOGIN_REFUSED

    def stall(self) -> None:
        self._set(BlackHole())

    async def stalled(self) -> None:
        await self._made.dialling.wait()

    def answer(self) -> None:
        self._set(self.line)

    def lose(self) -> None:
        self._made.lose()

    def renumber(self) -> None:
        self._made.renumber(self.other)

    def leftovers(self) -> str:
        return str(self._made.line or "")

    def _set(self, answer: Answer) -> None:
        self._made.answers.clear()
        self._made.answers.append(answer)


class BareRig:
    """The TUN itself: nothing can happen to it."""

    can: ClassVar = frozenset[str]()
    line = other = LINE

    def __init__(self, box: Box, _directory: Path) -> None:
        netns.create(box.wan)
        self._box = box

    def backend(self) -> Backend:
        return StaticBackend("isp", self.line, netns=self._box.wan)

    def refuse(self) -> str:
        raise NotImplementedError

    def refuse_login(self) -> str:
        raise NotImplementedError

    def stall(self) -> None:
        raise NotImplementedError

    async def stalled(self) -> None:
        raise NotImplementedError

    def answer(self) -> None:
        raise NotImplementedError

    def lose(self) -> None:
        raise NotImplementedError

    def renumber(self) -> None:
        raise NotImplementedError

    def leftovers(self) -> str:
        shown = (
            run("ip", "netns", "pids", self._box.wan),
            self._box.ip(self._box.wan, "-o", "-4", "addr"),
            self._box.ip(self._box.wan, "-4", "route", "show", "table", "all"),
        )
        return "".join(shown).replace(" linkdown", "")


class CardRig(BareRig):
    """A card with a fixed address; its cable is pulled and plugged in."""

    can: ClassVar = frozenset({"fail", "stall", "lose"})

    def __init__(self, box: Box, directory: Path) -> None:
        super().__init__(box, directory)
        box.ip(box.box, "link", "set", "eth2", "netns", box.wan)
        box.ip(box.wan, "link", "set", "eth2", "up")
        self._carrier_wait_s = 0.1

    def backend(self) -> Backend:
        box = self._box
        return StaticBackend(
            "isp", self.line, netns=box.wan, device="eth2", carrier_wait_s=self._carrier_wait_s
        )

    def refuse(self) -> str:
        self._cable("down")
        return "no carrier on eth2"

    def stall(self) -> None:
        self._carrier_wait_s = PATIENCE_S
        self._cable("down")

    async def stalled(self) -> None:
        await asyncio.sleep(0)

    def answer(self) -> None:
        self._carrier_wait_s = PATIENCE_S
        self._cable("up")

    def lose(self) -> None:
        self._cable("down")

    def _cable(self, state: str) -> None:
        self._box.ip(self._box.outside, "link", "set", "eth0", state)


UP = """#!/bin/sh
cd {directory}
case $(cat mode) in
refuse) echo failed {engaged}; exit 3 ;;
refuse-login) echo refused {refused}; exit 4 ;;
stall) echo begun >begun; sleep 600 & sleep 600 ;;
esac
sleep 600 </dev/null >/dev/null &  # as a daemon that keeps the line
{raising}
"""
TELLING = "(echo connected; echo address 203.0.113.2/24; echo gateway 203.0.113.1)"
SETTING = """ip addr add 203.0.113.2/24 dev eth2
ip route add default via 203.0.113.1"""


class TellingRig(BareRig):
    """Commands that say the address; files tell them what to do."""

    can: ClassVar = frozenset({"fail", "login", "stall", "lose", "renumber", "hang-up"})
    other = OTHER

    def __init__(self, box: Box, directory: Path) -> None:
        super().__init__(box, directory)
        self._directory = directory
        self._mode, self._up = directory / "mode", directory / "is-up"
        self._mode.write_text("answer")
        self._write("up", UP.format(
            directory=directory, engaged=ENGAGED, refused=LOGIN_REFUSED,
            raising=f"{TELLING} | tee is-up"))  # fmt: skip
        self._write("down", f"#!/bin/sh\nrm -f {self._up}\n")
        self._write("status", f"#!/bin/sh\ncat {self._up}\n")

    def _write(self, name: str, text: str) -> None:
        path = self._directory / name
        path.write_text(text)
        path.chmod(0o755)

    def _commands(self, *names: str) -> Commands:
        return Commands(*([str(self._directory / name)] for name in names))

    def backend(self) -> Backend:
        commands = self._commands("up", "down", "status")
        return CommandBackend("isp", commands, netns=self._box.wan, status_interval_s=0.05)

    def refuse(self) -> str:
        self._mode.write_text("refuse")
        return ENGAGED

    def refuse_login(self) -> str:
        self._mode.write_text("refuse-login")
        return f"login refused: {LOGIN_REFUSED}"

    def stall(self) -> None:
        self._mode.write_text("stall")

    async def stalled(self) -> None:
        await eventually((self._directory / "begun").exists)

    def answer(self) -> None:
        self._mode.write_text("answer")

    def lose(self) -> None:
        self._up.unlink()

    def renumber(self) -> None:
        new = self._directory / "new"
        new.write_text("address 203.0.113.77/24\n")
        new.replace(self._up)


class SeenRig(TellingRig):
    """Commands that set up a card, whose address is seen."""

    def __init__(self, box: Box, directory: Path) -> None:
        super().__init__(box, directory)
        box.ip(box.box, "link", "set", "eth2", "netns", box.wan)
        box.ip(box.wan, "link", "set", "eth2", "up")
        self._write("up", UP.format(
            directory=directory, engaged=ENGAGED, refused=LOGIN_REFUSED,
            raising=SETTING))  # fmt: skip
        self._write("down", "#!/bin/sh\nip addr flush dev eth2\n")

    def backend(self) -> Backend:
        commands = self._commands("up", "down")
        return CommandBackend("isp", commands, netns=self._box.wan, device="eth2")

    def lose(self) -> None:
        self._box.ip(self._box.wan, "addr", "flush", "dev", "eth2")

    def renumber(self) -> None:
        """As DHCP clients do: all away, and then what is new."""
        self.lose()
        self._box.ip(self._box.wan, "addr", "add", "203.0.113.77/24", "dev", "eth2")
        self._box.ip(self._box.wan, "route", "add", "default", "via", "203.0.113.1")
