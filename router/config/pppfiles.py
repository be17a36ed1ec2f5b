"""The files beside the configuration that a PPP link names: its chats and its password."""

import os
import re
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from router.chat.script import Script, parse_script
from router.config.links import LinkSection, PppLink
from router.config.problems import key_path
from router.errors import ConfigError

__all__ = ["file_problems", "load_chat", "load_password"]

_LONGEST_CHAT = 65536  # octets: no modem is talked to for so long
_LONGEST_PASSWORD = 255  # octets: PAP's Passwd-Length is one (RFC 1334 section 2.2.1)
_LINE = re.compile(r":[0-9]+$")


def file_problems(links: Sequence[LinkSection]) -> Iterator[str]:
    """Yield `KEY: SENTENCE` for all that is wrong with the files that links name.

    The sentence names the file, and the line in it. What is wrong with a file is told once, however
    often it is named.
    """
    told: set[str] = set()
    for index, link in enumerate(links):
        if not isinstance(link, PppLink):
            continue
        for key, problem in _link_problems(link):
            if problem not in told:
                yield f"{key_path('link', index, key)}: {problem}"
            told.add(problem)
        if link.chat is not None:
            key = key_path("link", index, "number")
            yield from _number_problems(key, link.chat, has_number=bool(link.number))


def _link_problems(link: PppLink) -> Iterator[tuple[str, str]]:
    """Yield the key and what is wrong with its file."""
    files: tuple[tuple[str, Callable[[Path], object], Path | None], ...] = (
        ("chat", load_chat, link.chat),
        ("hang_up_chat", load_chat, link.hang_up_chat),
        ("password_file", load_password, link.password_file),
    )
    for key, load, file in files:
        try:
            if file is not None:
                load(file)
        except ConfigError as error:
            yield from ((key, _behind_a_key(problem)) for problem in error.problems)


def _behind_a_key(problem: str) -> str:
    """Return `FILE:LINE: SENTENCE` as it is, and `FILE: SENTENCE` as one sentence."""
    place, _, sentence = problem.partition(": ")
    return problem if _LINE.search(place) else f"{place} {sentence}"


def _number_problems(key: str, chat: Path, *, has_number: bool) -> Iterator[str]:
    with suppress(ConfigError):
        script, _ = load_chat(chat)
        if script.needs_number and not has_number:
            yield f"{key}: is missing; {chat} sends \\T, the number to dial"
        elif has_number and not script.needs_number:
            yield f"{key}: is never dialled; {chat} does not send \\T"


def load_chat(path: Path) -> tuple[Script, dict[str, bytes]]:
    """Return the script in a file, and what is in those that it sends (`@FILE`).

    Raises ConfigError with every problem in it.
    """
    octets, _ = _beginning(path, _LONGEST_CHAT + 1)
    if len(octets) > _LONGEST_CHAT:
        raise ConfigError([f"{path}: is longer than {_LONGEST_CHAT} octets; is it a chat?"])
    try:
        text = octets.decode()
    except UnicodeDecodeError:
        raise ConfigError([f"{path}: is not UTF-8 text"]) from None
    script = parse_script(text, str(path))
    return script, {name: load_password(path.parent / name).encode() for name in script.files}


def load_password(path: Path) -> str:
    """Return the one line of a file that others may not read.

    Raises ConfigError, which never shows it.
    """
    octets, mode = _beginning(path, _LONGEST_PASSWORD + 2)
    try:
        text = octets.decode()
    except UnicodeDecodeError:
        text = ""
    if mode & stat.S_IRWXO:
        raise ConfigError([f"{path}: may be used by others; chmod 640 keeps the password secret"])
    password = text.removesuffix("\n").removesuffix("\r")
    if not password or len(password.encode()) > _LONGEST_PASSWORD or "\n" in password:
        raise ConfigError([f"{path}: needs one line of 1 to {_LONGEST_PASSWORD} octets"])
    return password


def _beginning(path: Path, length: int) -> tuple[bytes, int]:
    """Return as much of a file as `length` octets, and its mode; nobody who writes is waited for.

    Raises ConfigError.
    """
    try:
        with open(path, "rb", opener=_open_at_once) as file:
            mode = os.fstat(file.fileno()).st_mode
            if stat.S_ISREG(mode):
                return file.read(length), mode
    except OSError as error:
        raise ConfigError([f"{path}: cannot be read: {error.strerror}"]) from None
    raise ConfigError([f"{path}: is no regular file"])


def _open_at_once(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)
