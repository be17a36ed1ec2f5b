"""The files beside the configuration that a PPP link names: its chats and its password."""

import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from router.chat.script import Script, parse_script
from router.config.links import LinkSection, PppLink
from router.errors import ConfigError

__all__ = ["file_problems", "load_chat", "load_password"]

_LONGEST_CHAT = 65536  # octets: no modem is talked to for so long
_LONGEST_PASSWORD = 255  # octets: PAP's Passwd-Length is one (RFC 1334 section 2.2.1)


def file_problems(link: LinkSection) -> Iterator[str]:
    """Yield `FILE: SENTENCE` for all that is wrong with the files of a link."""
    if not isinstance(link, PppLink):
        return
    for load, path in (
        (load_chat, link.chat),
        (load_chat, link.hang_up_chat),
        (load_password, link.password_file),
    ):
        try:
            if path is not None:
                load(path)
        except ConfigError as error:
            yield from error.problems
    if link.chat is not None:
        yield from _number_problems(link.chat, has_number=bool(link.number))


def _number_problems(chat: Path, *, has_number: bool) -> Iterator[str]:
    with suppress(ConfigError):
        script, _ = load_chat(chat)
        if script.needs_number and not has_number:
            yield f"{chat}: sends \\T, the number to dial, and the link has none"
        elif has_number and not script.needs_number:
            yield f"{chat}: does not send \\T, so the link's number is never dialled"


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
        raise ConfigError(
            [f"{path}: others may use this file; chmod 640 keeps the password secret"]
        )
    password = text.removesuffix("\n").removesuffix("\r")
    if not password or len(password.encode()) > _LONGEST_PASSWORD or "\n" in password:
        raise ConfigError([f"{path}: one line of 1 to {_LONGEST_PASSWORD} octets is needed"])
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
