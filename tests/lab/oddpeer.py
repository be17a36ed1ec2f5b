"""A modem that connects, and then the peers nobody wants: `python -m tests.lab.oddpeer KIND`.

It is a program on a terminal (`line = "pty:..."`). Commands are answered with OK, a call with
CONNECT. After that a peer that is

    silent  says nothing
    loop    is none: what is sent comes back
    shell   asks for a login and repeats what is typed, as a terminal does that is not raw
    nak     finds something wrong with every request, each time something else

Frames are taken apart and put together here octet by octet, by none of the router's code.
"""

import itertools
import os
import select
import sys
from collections.abc import Callable
from pathlib import Path

from tests.lab.framing import FLAG, decoded, encoded

ALL = 0xFFFFFFFF  # control characters: all are escaped while LCP negotiates (RFC 1662 section 7.1)
HEADER = b"\xff\x03\xc0\x21"  # address, control, LCP
REQUEST, NAK, ACCM = 1, 3, 2


def command(kind: str) -> str:
    """What the router's `line` is with such a peer."""
    root = Path(__file__).resolve().parents[2]
    return f"pty:env -C {root} {sys.executable} -m tests.lab.oddpeer {kind}"


def _dialled() -> None:
    """Be a modem until there is a carrier."""
    typed = b""
    while b"ATDT" not in typed or not typed.endswith(b"\r"):
        typed += os.read(0, 1)
        if typed.endswith(b"\r") and b"ATDT" not in typed:
            os.write(1, b"\r\nOK\r\n")
            typed = b""
    os.write(1, b"\r\nCONNECT 33600\r\n")


def _silent(_octets: bytes) -> bytes:
    return b""


def _loop(octets: bytes) -> bytes:
    return octets


def _shell(octets: bytes) -> bytes:
    """Repeat as the terminal driver of Unix does: control characters as two, a line's end too."""
    shown = b"".join(
        b"\r\n" if octet in b"\r\n" else bytes((ord("^"), octet ^ 0x40)) if octet < 32
        else bytes((octet,))
        for octet in octets
    )  # fmt: skip
    return shown + (b"Password: " if octets.endswith(b"\r") else b"")


def _nak() -> Callable[[bytes], bytes]:
    heard = bytearray()
    numbers = itertools.count(1)

    def answer(octets: bytes) -> bytes:
        nonlocal heard
        heard += octets
        whole, flag, rest = bytes(heard).rpartition(bytes((FLAG,)))
        if not flag:
            return b""
        heard = bytearray(rest)
        frames, _ = decoded(whole + flag, 0)
        return b"".join(_naked(frame, next(numbers)) for frame in frames)

    return answer


def _naked(frame: bytes, number: int) -> bytes:
    """A request refused: another set of control characters would do, and never the same."""
    if frame[:4] != HEADER or frame[4] != REQUEST:
        return b""
    wanted = bytes((ACCM, 6)) + number.to_bytes(4, "big")
    packet = bytes((NAK, frame[5])) + (4 + len(wanted)).to_bytes(2, "big") + wanted
    return bytes((FLAG,)) + encoded(HEADER + packet, ALL) + bytes((FLAG,))


def main(kind: str) -> None:
    """Be such a peer until the terminal is hung up."""
    answers = {"silent": _silent, "loop": _loop, "shell": _shell, "nak": _nak()}
    _dialled()
    if kind == "shell":
        os.write(1, b"\r\nhost login: ")
    while True:
        select.select([0], [], [])
        octets = os.read(0, 4096)
        if not octets:
            return
        said = answers[kind](octets)
        while said:
            said = said[os.write(1, said) :]


if __name__ == "__main__":
    main(sys.argv[1])
