"""The lab's provider, as its router meets it: commands that raise the line, take it down, look.

`python -m router.lab.dial up|down|status FILE`, in the language of a line's commands
(`router.host.lines.script`). FILE is what there is to know of the provider.

Theory of operation. The line is up while the provider's end of it is, and nothing but the machine
says so. Raising it takes `dial_s` seconds: for most of that time modems train; then there is a
carrier, and an address is agreed on. Each rise gets the next address of the pool, or from a
`sticky` provider always the same one. A `busy` provider is found engaged when the modems would
have met. The file is read anew when something depends on it, and written in one step, so that
it may be changed at any time.
"""

import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from router.errors import RouterError
from router.lab import topology

__all__ = ["Provider", "main"]

_TRAINING = 0.8  # of the time to dial, until there is a carrier; the rest is the login
_FAILED = 1


@dataclass(frozen=True, slots=True)
class Provider:
    """A provider: the namespace of its end of the line, its ways, and how often it was dialled.

    `rises` counts the dials that have succeeded; the last of them got `address`.
    """

    netns: str
    dial_s: float
    sticky: bool = False
    busy: bool = False
    rises: int = 0

    @classmethod
    def load(cls, file: Path) -> "Provider":
        """Return what a file tells."""
        return cls(**json.loads(file.read_text()))

    def save(self, file: Path) -> None:
        """Write the file."""
        fresh = file.with_suffix(".new")
        fresh.write_text(json.dumps(asdict(self), indent=2) + "\n")
        fresh.replace(file)

    @property
    def address(self) -> str:
        """The address that the last rise got, or the first one will."""
        number = 0 if self.sticky else max(0, self.rises - 1)
        return topology.POOL[number % len(topology.POOL)]


def main(arguments: Sequence[str]) -> int:
    """Do what the words of a command ask for; return the exit code."""
    what, file = arguments[0], Path(arguments[1])
    try:
        return {"up": _up, "down": _down, "status": _status}[what](file)
    except RouterError as error:
        print(f"failed {error}")
        return _FAILED


def _up(file: Path) -> int:
    dial_s = Provider.load(file).dial_s
    time.sleep(dial_s * _TRAINING)
    provider = Provider.load(file)
    if provider.busy:
        print("failed the number is engaged")
        return _FAILED
    print("connected", flush=True)
    time.sleep(dial_s * (1 - _TRAINING))
    provider = replace(Provider.load(file), rises=provider.rises + 1)
    provider.save(file)
    topology.set_line(provider.netns, up=True)
    _tell(provider)
    return 0


def _down(file: Path) -> int:
    topology.set_line(Provider.load(file).netns, up=False)
    return 0


def _status(file: Path) -> int:
    provider = Provider.load(file)
    if not topology.line_is_up(provider.netns):
        return _FAILED
    _tell(provider)
    return 0


def _tell(provider: Provider) -> None:
    print(f"address {provider.address}/{topology.WAN_PREFIX}")
    print(f"gateway {topology.GATEWAY}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
