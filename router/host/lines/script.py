"""The language between a line's commands and the router, and how such a command is run.

A command says, one a line, in any order:

    connected               there is a carrier; the address is still to come
    address 100.64.0.7/32   the line's address, and how long its network's prefix is
    gateway 100.64.0.1      without one every host is on the link
    mtu 1492                what the line carries at most, in bytes
    dns 9.9.9.9             a name server of the provider's; there may be several
    failed TEXT             why it is about to fail, for people: `failed the number is engaged`
    refused TEXT            the same, where the provider refuses the login: `refused wrong user`;
                            after a few of these (`refusals`) only people raise the line again
    log TEXT                something for the router's log

The last word on each counts. Whatever else it says is neither kept nor logged, because programs
that dial say passwords. For the same reason its arguments appear in no message, and its
environment holds where it is and nothing else: POSTROAD_LINK, POSTROAD_DEVICE (empty without
one), POSTROAD_NETNS and PATH. It runs in the WAN namespace. Exit code 0 is success.
"""

import asyncio
import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from router.host.lines.process import SYSTEM_PATH, Process, start
from router.wire.address import MAX_PREFIX, parse_address

__all__ = ["STATUS_LIMIT_S", "Outcome", "Script", "Told", "not_started"]

STATUS_LIMIT_S = 10.0  # seconds: a status that takes longer says that something is wrong
MOST_LOGGED = 20  # lines of one run: a command in a loop must not fill the log
LONGEST_TEXT = 200  # characters of a reason or a line of the log

_MTUS = range(68, 65536)  # bytes: what every link carries (RFC 791), what fits into a packet
_UNICAST = range(1 << 24, 224 << 24)  # without 0.0.0.0/8 and what is not one host's (RFC 6890)
_LOOPBACK = 127
_log = logging.getLogger(__name__)


@dataclass
class Told:
    """What one run has said so far; `wrong` is the word of a line that made no sense."""

    link: str
    connected: Callable[[], None] = lambda: None
    address: tuple[int, int] | None = None
    gateway: int | None = None
    mtu: int | None = None
    dns: list[int] = field(default_factory=list)
    failed: str = ""
    is_refused: bool = False
    wrong: str = ""
    _logged: int = 0

    def hear(self, line: str) -> None:
        """Take one line."""
        word, _, rest = line.partition(" ")
        try:
            self._take(word, rest.strip())
        except ValueError:
            self.wrong = word

    def _take(self, word: str, rest: str) -> None:
        match word:
            case "connected":
                self.connected()
            case "address":
                self.address = _interface(rest)
            case "gateway":
                self.gateway = _host(rest)
            case "mtu":
                self.mtu = _MTUS[_MTUS.index(int(rest))]
            case "dns":
                self.dns.append(_host(rest))
            case "failed":
                self.failed = _shown(rest)
            case "refused":
                self.failed, self.is_refused = _shown(rest), True
            case "log" if self._logged < MOST_LOGGED:
                self._logged += 1
                _log.info("%s: %s", self.link, _shown(rest))


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended: `why` is one clause about a failure, "" for success."""

    told: Told
    why: str

    @property
    def is_refusal(self) -> bool:
        """Whether it failed because the provider refused the login."""
        return bool(self.why) and self.told.is_refused

    @classmethod
    def of(cls, role: str, told: Told, code: int) -> "Outcome":
        """Return what an exit code, or a signal negated, means of a command for `role`."""
        if code < 0:
            why = f"its {role} command was ended by signal {-code}"
        elif code:
            why = told.failed or f"its {role} command ended with code {code}"
        else:
            why = f"its {role} command gave no valid {told.wrong}" if told.wrong else ""
        return cls(told, why)


class Script:
    """Runs the commands of one line."""

    def __init__(self, link: str, netns: str, device: str | None) -> None:
        self._link = link
        self._netns = netns
        self._environment = {
            "POSTROAD_LINK": link,
            "POSTROAD_DEVICE": device or "",
            "POSTROAD_NETNS": netns,
            "PATH": SYSTEM_PATH,
        }
        self._processes: list[Process] = []

    def start(self, command: Sequence[str], told: Told) -> Process:
        """Start a command that speaks to `told`; raises OSError and DeviceError as `start` does."""
        process = start(command, netns=self._netns, environment=self._environment, hear=told.hear)
        self._processes.append(process)
        return process

    async def run(self, role: str, command: Sequence[str], limit_s: float) -> Outcome:
        """Run a command to its end, and not beyond `limit_s`; nothing it has started stays.

        Raises DeviceError when there is no such namespace.
        """
        told = Told(self._link)
        try:
            process = self.start(command, told)
        except OSError as error:
            return Outcome(told, not_started(role, error))
        try:
            async with asyncio.timeout(limit_s):
                return Outcome.of(role, told, await process.wait())
        except TimeoutError:
            return Outcome(told, f"its {role} command took longer than {limit_s:.0f} s")
        finally:
            await self.end(process)

    async def end(self, process: Process) -> None:
        """End a command and everything in its group."""
        await process.end()
        if process in self._processes:
            self._processes.remove(process)

    async def close(self) -> None:
        """End all that still runs."""
        while self._processes:
            await self.end(self._processes[-1])


def not_started(role: str, error: OSError) -> str:
    """Return why the command for `role` could not be started, without saying what it is."""
    return f"its {role} command cannot be started: {os.strerror(error.errno or 0)}"


def _interface(text: str) -> tuple[int, int]:
    address, slash, prefix = text.partition("/")
    length = int(prefix) if slash else MAX_PREFIX
    if not 1 <= length <= MAX_PREFIX:
        raise ValueError(f"{length} is no prefix length")
    return _host(address), length


def _host(text: str) -> int:
    address = parse_address(text)
    if address not in _UNICAST or address >> 24 == _LOOPBACK:
        raise ValueError(f"{text!r} is no host's address")
    return address


def _shown(text: str) -> str:
    return "".join(char if char.isprintable() else "?" for char in text[:LONGEST_TEXT])
