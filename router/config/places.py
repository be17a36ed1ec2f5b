"""Whether what PPP lines are made of is on this machine now: serial ports, cards, programs.

What is not there may still come: a modem is plugged in, a card gets its driver. So that is a
warning, for who asks. A file of another kind will not become a serial port: that is a problem.
"""

import shutil
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

from router.config.links import LinkSection, PppLink
from router.config.media import Ethernet, Medium, Program, Serial
from router.config.problems import key_path
from router.host.lines.process import SYSTEM_PATH

__all__ = ["place_problems", "place_warnings"]

_CARDS = Path("/sys/class/net")
_NAMESPACES = Path("/run/netns")  # ip-netns(8)


def place_problems(links: Sequence[LinkSection]) -> Iterator[str]:
    """Yield `KEY: SENTENCE` for each serial port that is something else."""
    for key, line in _lines(links):
        mode = _mode(line.path) if isinstance(line, Serial) else None
        if mode and not stat.S_ISCHR(mode):
            yield f"{key}: {line} is there, and is no serial port"


def place_warnings(
    links: Sequence[LinkSection],
    netns: str,
    *,
    cards: Path = _CARDS,
    namespaces: Path = _NAMESPACES,
) -> Iterator[str]:
    """Yield `KEY: SENTENCE` for each line of which something is missing.

    While the line's namespace exists a card may be in it, where it cannot be seen from here.
    """
    apart = bool(netns) and (namespaces / netns).exists()
    for key, line in _lines(links):
        match line:
            case Serial(path) if _mode(path) == 0:
                yield f"{key}: there is no {path} now"
            case Ethernet(device) if not (apart or (cards / device).exists()):
                yield f"{key}: there is no card {device} now"
            case Program((program, *_)) if shutil.which(program, path=SYSTEM_PATH) is None:
                yield f"{key}: there is no program {program} now"


def _lines(links: Sequence[LinkSection]) -> Iterator[tuple[str, Medium]]:
    for index, link in enumerate(links):
        if isinstance(link, PppLink):
            yield key_path("link", index, "line"), link.line


def _mode(path: Path) -> int | None:
    """Return the kind of a file and its rights, 0 if there is none, None if that is not told."""
    try:
        return path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return 0
    except OSError:
        return None
