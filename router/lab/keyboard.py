"""What is typed at a modem, until it is a command line (ITU-T V.250 section 5.2)."""

import re

from router.lab.at import Register, Settings

__all__ = ["Keyboard"]

LINE_LIMIT = 255  # octets of a command line; V.250 asks for 40 at least
_WRONG = "?"
_PREFIX = re.compile(rb"AT|at")
_AGAIN = (b"A/", b"a/")


class Keyboard:
    """Gathers octets into command lines.

    What precedes an `AT` is passed over, and lines without one are; so are control octets. `A/`
    is the last line once more, and has no end. A line that is too long becomes one that is wrong.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._line = bytearray()
        self._last = ""

    def type(self, octet: int) -> str | None:
        """Take one octet; return what follows the AT of a line that ends with it."""
        if octet == self._settings.register(Register.END):
            line, self._line = bytes(self._line), bytearray()
            return self._body(line)
        if octet == self._settings.register(Register.BACKSPACE):
            del self._line[-1:]
        elif octet >= ord(" ") and len(self._line) <= LINE_LIMIT:
            self._line.append(octet)
        if self._line in _AGAIN:
            self._line.clear()
            return self._last
        return None

    def clear(self) -> None:
        """Forget what has been typed of a line."""
        self._line.clear()

    def _body(self, line: bytes) -> str | None:
        prefix = _PREFIX.search(line)
        if prefix is None:
            return None
        body = line[prefix.end() :].decode("ascii", "replace")
        self._last = body if len(line) <= LINE_LIMIT else _WRONG
        return self._last
