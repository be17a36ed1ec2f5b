"""What a modem says, octet for octet: strings in it, lines of it, reports for people.

Octets come in chunks of any size, and every class here makes the same of any chunking. A modem may
send parity or NULs before it has recognised the speed: `audible` takes both away.
"""

import re
from collections.abc import Sequence

__all__ = ["MAX_LINE", "Discretion", "Lines", "Reports", "Search", "audible", "span_of"]

MAX_LINE = 255  # octets of a line or a report; what is longer is no text (chat(8) reports 256)

_SEVEN_BITS = bytes(octet & 0x7F for octet in range(256))
_NULS = b"\x00\x80"
_CONTROL = re.compile(rb"[\x00-\x1f\x7f]")
_PRINTABLE = re.compile(rb"[\x20-\x7e]+")
_HIDDEN = "..."


def audible(octets: bytes) -> bytes:
    """Return the octets without parity and without NULs."""
    return octets.translate(_SEVEN_BITS, _NULS)


def span_of(octets: bytes, count: int) -> int:
    """Return how many octets there are up to the end of the first `count` audible ones."""
    for index, octet in enumerate(octets):
        count -= octet not in _NULS
        if not count:
            return index + 1
    return len(octets)


class Search:
    """Looks for the first of several strings; it is over when one is found.

    Which is first is told by its end; at the same end the one named first is. What it remembers
    is less than the longest string.
    """

    def __init__(self, strings: Sequence[bytes]) -> None:
        self._strings = tuple(strings)
        self._keeps = max(map(len, strings), default=1) - 1
        self._tail = b""

    def feed(self, octets: bytes) -> tuple[int, int] | None:
        """Return which string is found, and how many of these octets it took, None for none."""
        window, before = self._tail + octets, len(self._tail)
        found = [
            (start + len(string) - before, which)
            for which, string in enumerate(self._strings)
            if (start := window.find(string)) >= 0
        ]
        if found:
            end, which = min(found)
            return which, end
        self._tail = window[max(0, len(window) - self._keeps) :]
        return None


class Discretion:
    """Knows what has been sent, and hides it where a modem has echoed it."""

    def __init__(self) -> None:
        self._sent: set[str] = set()

    def note(self, octets: bytes) -> None:
        """Remember that this has been sent."""
        self._sent.update(run.decode("ascii").strip() for run in _printable(octets))
        self._sent.discard("")

    def tell(self, octets: bytes) -> str:
        """Return the printable text in what a modem has said, without what it was sent."""
        text = " ".join(run.decode("ascii") for run in _printable(octets)).strip()
        if not self._sent:
            return text
        longest_first = sorted(self._sent, key=len, reverse=True)
        return re.sub("|".join(map(re.escape, longest_first)), _HIDDEN, text)


def _printable(octets: bytes) -> list[bytes]:
    return _PRINTABLE.findall(audible(octets))


class Lines:
    """Cuts what is said into lines, at any control character; empty and endless ones are none."""

    def __init__(self) -> None:
        self._line = b""

    def feed(self, octets: bytes) -> list[bytes]:
        """Return the lines that these octets complete."""
        first, *others = _CONTROL.split(octets)
        lines = []
        self._line += first[: MAX_LINE + 1]
        for begun in others:
            if 0 < len(self._line) <= MAX_LINE:
                lines.append(self._line)
            self._line = begun
        self._line = self._line[: MAX_LINE + 1]
        return lines


class Reports:
    """Collects reports: each a string watched for and what follows it on its line.

    A string is reported once, and while a report goes on no other one begins.
    """

    def __init__(self, discretion: Discretion) -> None:
        self.texts: list[str] = []
        self._discretion = discretion
        self._strings: list[bytes] = []
        self._search = Search(())
        self._begun: bytes | None = None

    def watch(self, string: bytes, *, wanted: bool) -> None:
        """Watch for a string from now on, or no longer."""
        self._strings = [each for each in self._strings if each != string]
        if wanted:
            self._strings.append(string)
        self._search = Search(self._strings)

    def feed(self, octets: bytes) -> None:
        """Listen."""
        while octets:
            octets = self._look(octets) if self._begun is None else self._go_on(octets)

    def is_finished_by(self, octets: bytes) -> bool:
        """Return whether no report goes on, or the one that does ends within these octets."""
        if self._begun is None:
            return True
        return len(self._begun) + len(octets) >= MAX_LINE or bool(_CONTROL.search(octets))

    def finish(self, octets: bytes) -> None:
        """Take the report that goes on, if any, with what belongs to it of the last octets."""
        if self._begun is not None:
            self._go_on(octets)
            self._take()

    def _look(self, octets: bytes) -> bytes:
        found = self._search.feed(octets)
        if found is None:
            return b""
        which, end = found
        self._begun = self._strings.pop(which)
        self._search = Search(self._strings)
        return octets[end:]

    def _go_on(self, octets: bytes) -> bytes:
        """Go on with the report that has begun; return what is after it."""
        assert self._begun is not None
        control = _CONTROL.search(octets)
        room = max(0, MAX_LINE - len(self._begun))
        end = min(control.start() if control else len(octets), room)
        self._begun += octets[:end]
        if control or len(self._begun) >= MAX_LINE:
            self._take()
        return octets[end:]

    def _take(self) -> None:
        if self._begun is not None:
            self.texts.append(self._discretion.tell(self._begun))
            self._begun = None
