"""The strings of a chat script: what their escapes stand for.

A problem is a sentence that does not quote the string: what is sent may be a secret.
"""

import re
from collections.abc import Callable, Iterator

from router.chat.steps import Break, Number, Octets, Part, Pause, Secret, Speech

__all__ = ["Complain", "read_expected", "read_speech", "read_text", "sends", "split_attempts"]

Complain = Callable[[str], None]

_DELAY_S = 1.0  # seconds, "\d" (chat(8))
_PAUSE_S = 0.1  # seconds, "\p" (chat(8); its code waits for a tenth of that)

_RETURN = b"\r"
_END_OF_TRANSMISSION = b"\x04"
_SPOKEN = {  # whole strings that mean something else, without a carriage return (chat(8))
    "EOT": Speech((Octets(_END_OF_TRANSMISSION),)),
    "BREAK": Speech((Break(),)),
}

_TOKEN = re.compile(
    r"\\(?P<octal>[0-7]{1,3})|\\(?P<escape>.?)|\^(?P<control>.?)|(?P<plain>[^\\^]+)", re.DOTALL
)
_OCTETS = {"b": b"\b", "n": b"\n", "r": b"\r", "s": b" ", "t": b"\t"}
_PARTS: dict[str, Part] = {
    "d": Pause(_DELAY_S),
    "p": Pause(_PAUSE_S),
    "K": Break(),
    "N": Octets(b"\0"),
    "T": Number(),
}
_CONTROLS = re.compile(r"[@-_a-z]")  # what has a control character: its lowest five bits
_ONLY_SENT = frozenset("cdKNpqT")
_UNSEEN = re.compile(r"[\x00-\x1f\x7f]+")
_DIALS = re.compile(rb"\s*AT(?:.*[A-Z0-9])?D[TP0-9*#]", re.IGNORECASE)  # not AT&D2

_ESCAPES = 'a backslash stands before one of "{}", octal digits, or a mark that means itself'
_IN_EXPECT = _ESCAPES.format("b n r s t")
_IN_SEND = _ESCAPES.format("b c d K n N p q r s t T")
_OCTAL = "octal digits after a backslash are from 0 to 377"
_CONTROL = r'"^" stands before a letter or one of "@[\]^_"; the mark itself is "\^"'
_AT_THE_END = r'"\c" must end it'
_SECOND_NUMBER = r'there is no "\U"; each number of a link is "\T" in its turn'
_HEARD = "an octet is from 1 to 177 in octal; NUL is not listened to, the eighth bit may be parity"


def read_expected(text: str, complain: Complain) -> bytes:
    """Return the octets to wait for."""
    octets = b"".join(_octets(token, _IN_EXPECT, complain) for token in _TOKEN.finditer(text))
    if not all(0 < octet < 0x80 for octet in octets):
        complain(_HEARD)
    return octets


def sends(text: str) -> str:
    """Return the first escape that only strings to send have, such as "d", or none."""
    escapes = (token["escape"] for token in _TOKEN.finditer(text))
    return next((escape for escape in escapes if escape and escape in _ONLY_SENT), "")


def read_text(text: str, complain: Complain) -> str:
    """Return a text for people, on one line."""
    octets = b"".join(_octets(token, _IN_EXPECT, complain) for token in _TOKEN.finditer(text))
    return _UNSEEN.sub(" ", octets.decode(errors="replace")).strip()


def read_speech(text: str, complain: Complain) -> Speech:
    r"""Return what to send: a carriage return goes with it unless the string ends in `\c`."""
    if text in _SPOKEN:
        return _SPOKEN[text]
    file = text[1:].lstrip(" \t").replace(r"\-", "-") if text.startswith("@") else ""
    if file:
        return Speech((Secret(file), Octets(_RETURN)))
    parts = tuple(_parts(text, complain))
    dials = any(isinstance(part, Number) or _is_dialling(part) for part in parts)
    return Speech(parts, dials)


def split_attempts(word: str) -> list[str]:
    """Return what is between the unescaped hyphens of an expect word.

    At the end of the word a hyphen has nothing after it, not even an empty string.
    """
    strings = [""]
    for piece in re.findall(r"\\.|-|[^\\-]+|\\", word, re.DOTALL):
        if piece == "-":
            strings.append("")
        else:
            strings[-1] += piece
    return strings[:-1] if len(strings) > 1 and not strings[-1] else strings


def _parts(text: str, complain: Complain) -> Iterator[Part]:
    returns = _RETURN
    for token in _TOKEN.finditer(text):
        escape = token["escape"]
        if escape in _PARTS:
            yield _PARTS[escape]
        elif escape == "c":
            returns = b""
            if token.end() < len(text):
                complain(_AT_THE_END)
        elif escape == "U":
            complain(_SECOND_NUMBER)
        elif escape != "q":  # that hides the string, as all are here
            yield Octets(_octets(token, _IN_SEND, complain))
    if returns:
        yield Octets(returns)


def _octets(token: re.Match[str], escapes: str, complain: Complain) -> bytes:
    """Return the octets of one token, or nothing and say what is wrong with it."""
    if token["plain"] is not None:
        return token["plain"].encode()
    if token["octal"] is not None:
        return _character(int(token["octal"], 8), complain)
    if token["control"] is not None:
        if _CONTROLS.fullmatch(token["control"]):
            return bytes((ord(token["control"]) & 0x1F,))
        complain(_CONTROL)
        return b""
    escape = token["escape"]
    if escape in _OCTETS:
        return _OCTETS[escape]
    if not escape or escape.isalnum():
        complain(escapes)
        return b""
    return escape.encode()


def _character(number: int, complain: Complain) -> bytes:
    if number > 0xFF:
        complain(_OCTAL)
        return b""
    return bytes((number,))


def _is_dialling(part: Part) -> bool:
    return isinstance(part, Octets) and _DIALS.match(part.value) is not None
