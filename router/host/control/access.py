"""Who asks, and whether he may.

Theory of operation. The Unix socket is for root and its group, which its mode sees to; who it is
the kernel tells. On the LAN whoever has the token may ask. Wrong tokens are counted by address:
after `TRIES` within a minute nothing more is heard from there until the minute is over, the right
token included, so that a guess is worth nothing. At most `ADDRESSES` are remembered; when there
are more, the oldest is forgotten.
"""

import hmac
import os
import pwd
import socket
import stat
import struct
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from aiohttp import web
from aiohttp.typedefs import Middleware

from router.devices import Clock
from router.errors import ConfigError

__all__ = ["Caller", "bearer", "caller", "load_token", "not_on_the_lan", "refusal"]

TOKEN_LEAST, TOKEN_MOST = 16, 512  # characters: 16 random ones are 96 bits in base 64
TRIES = 10  # wrong tokens per address and minute: more than a person's slips
TRIES_S = 60.0  # seconds
ADDRESSES = 1024  # about 200 KiB

_CREDENTIALS = struct.Struct("3i")  # struct ucred of unix(7): pid, uid, gid

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Caller(NamedTuple):
    """Who asks: a user of this machine, or whoever has the token at a LAN address."""

    user: str
    address: str

    @property
    def is_local(self) -> bool:
        """Whether he asks by the Unix socket."""
        return not self.address

    def named(self, by: str) -> str:
        """Return the name for what he does, if he says it is `by` ("" if he does not say)."""
        if self.is_local:
            return by or self.user
        return f"{by}, token from {self.address}" if by else f"token from {self.address}"


def caller(request: web.Request) -> Caller:
    """Return who sent the request; raises ConnectionResetError if he has gone."""
    transport = request.transport
    if transport is None:
        raise ConnectionResetError("whoever asked has gone")
    connection = transport.get_extra_info("socket")
    if connection.family == socket.AF_UNIX:
        packed = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        _, uid, _ = _CREDENTIALS.unpack(packed)
        return Caller(_user_name(uid), "")
    return Caller("", str(transport.get_extra_info("peername")[0]))


def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:  # nobody the machine knows, such as one of another user namespace
        return f"uid {uid}"


def load_token(path: Path) -> str:
    """Return the token in the file; raises ConfigError, which never shows it."""
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            text = file.read(TOKEN_MOST + 2).decode("ascii").strip()
    except OSError as error:
        raise ConfigError([f"{path}: {error.strerror}"]) from error
    except UnicodeDecodeError:
        text = ""
    if mode & stat.S_IRWXO:
        raise ConfigError([f"{path}: others may use this file; chmod 640 keeps the token secret"])
    if not (TOKEN_LEAST <= len(text) <= TOKEN_MOST and text.isprintable() and " " not in text):
        raise ConfigError(
            [
                f"{path}: one word of {TOKEN_LEAST} to {TOKEN_MOST} ASCII characters is needed, "
                "as from: openssl rand -base64 24"
            ]
        )
    return text


@dataclass(slots=True)
class _Minute:
    began_at: float
    wrong: int = 0


class Tries:
    """Wrong tokens by address."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._minutes: dict[str, _Minute] = {}

    def blocked_s(self, address: str) -> float:
        """Return for how long nothing is heard from there, in seconds."""
        minute = self._minutes.get(address)
        if minute is None:
            return 0.0
        left_s = minute.began_at + TRIES_S - self._clock()
        if left_s <= 0.0:
            del self._minutes[address]
        return left_s if minute.wrong >= TRIES and left_s > 0.0 else 0.0

    def note(self, address: str) -> None:
        """Count a wrong token."""
        if address not in self._minutes:
            if len(self._minutes) >= ADDRESSES:
                del self._minutes[next(iter(self._minutes))]
            self._minutes[address] = _Minute(self._clock())
        self._minutes[address].wrong += 1


def bearer(token: str, clock: Clock = time.monotonic) -> Middleware:
    """Return what lets requests with the token pass and answers all others."""
    tries = Tries(clock)
    expected = token.encode()

    @web.middleware
    async def admit(request: web.Request, handler: _Handler) -> web.StreamResponse:
        address = caller(request).address
        if left_s := tries.blocked_s(address):
            answer = refusal(429, "too many wrong tokens from there; wait a minute")
            answer.headers["Retry-After"] = f"{left_s + 1:.0f}"
        elif hmac.compare_digest(_credentials(request), expected):
            return await handler(request)
        else:
            tries.note(address)
            answer = refusal(401, "the token is wrong or missing")
            answer.headers["WWW-Authenticate"] = 'Bearer realm="postroad"'
        answer.force_close()
        return answer

    return admit


def _credentials(request: web.Request) -> bytes:
    scheme, _, credentials = request.headers.get("Authorization", "").partition(" ")
    wanted = scheme.lower() == "bearer"
    return credentials.strip().encode(errors="surrogateescape") if wanted else b""


async def not_on_the_lan(_request: web.Request) -> web.StreamResponse:
    """Answer for what only the Unix socket offers."""
    return refusal(403, "this is not for the LAN; ask by the control socket of the machine")


def refusal(status: int, sentence: str, **more: object) -> web.Response:
    """Return the answer to what is refused."""
    return web.json_response({"error": sentence, **more}, status=status)
