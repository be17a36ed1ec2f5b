"""What a PPP line is made of: the `line` of a `[[link]]`.

| written | what it is |
|---|---|
| `/dev/ttyS1` | a serial port |
| `pty:COMMAND` | a program that speaks PPP, on a terminal of its own |
| `tcp:HOST:PORT` | a connection to a terminal server |
| `pppoe:eth2` | a network card with access concentrators behind it |
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Self

from router.config.linevalues import found, read_command
from router.config.readers import from_text
from router.config.values import DEVICE, MAX_PORT

__all__ = ["Ethernet", "Medium", "Program", "Serial", "Tcp"]

_ALLOWED = '"/dev/ttyS1", "pty:COMMAND", "tcp:HOST:PORT" or "pppoe:eth2"'
_HOST_AND_PORT = re.compile(r"([A-Za-z0-9._-]{1,253}):([0-9]{1,5})")


class _Medium:
    """One kind of line; `placed` finds what it names from the folder of the file."""

    def placed(self, _folder: Path) -> Self:
        return self


@dataclass(frozen=True, slots=True)
class Serial(_Medium):
    """A serial port."""

    path: Path

    def __str__(self) -> str:
        return str(self.path)

    def placed(self, folder: Path) -> "Serial":
        """Return it with its path as found from the folder of the file."""
        return Serial(folder / self.path)


@dataclass(frozen=True, slots=True)
class Program(_Medium):
    """A program on a terminal of its own."""

    command: tuple[str, ...]

    def __str__(self) -> str:
        return self.command[0]

    def placed(self, folder: Path) -> "Program":
        """Return it with its program as found from the folder of the file."""
        return Program(found(self.command, folder))


@dataclass(frozen=True, slots=True)
class Tcp(_Medium):
    """A terminal server."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host} port {self.port}"


@dataclass(frozen=True, slots=True)
class Ethernet(_Medium):
    """A network card for PPPoE (RFC 2516)."""

    device: str

    def __str__(self) -> str:
        return f"PPPoE on {self.device}"


def _read_medium(text: str) -> Serial | Program | Tcp | Ethernet:
    kind, colon, rest = text.partition(":")
    match kind if colon and "/" not in kind else "":
        case "pty":
            return Program(read_command(rest))
        case "tcp" if place := _HOST_AND_PORT.fullmatch(rest):
            if 1 <= int(place[2]) <= MAX_PORT:
                return Tcp(place[1].lower(), int(place[2]))
        case "pppoe" if DEVICE.fullmatch(rest):
            return Ethernet(rest)
        case "" if "/" in text and "\0" not in text:
            return Serial(Path(text))
    raise ValueError(f"{text!r} is not a line such as {_ALLOWED}")


Medium = Annotated[Serial | Program | Tcp | Ethernet, from_text(_read_medium, _ALLOWED)]
