"""A port that is a TCP connection: to a terminal server, an emulated modem, another router.

What it can hold that the other end has not taken is kept small, because packets that wait there
can neither be dropped nor be overtaken (see `flow`). A peer that vanishes without a word is found
by the kernel in about a minute; LCP's echo requests find a peer that is deaf above TCP.
"""

import asyncio
import os
import socket

from router.host.lines.backend import DialError

__all__ = ["TcpPort"]

_UNSENT = 8192  # octets the kernel takes beyond the window: as much as a pty holds
_NODELAY = (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # a frame is a packet, it waits for nothing
_OPTIONS = (
    _NODELAY,
    (socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, _UNSENT),
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 30),  # seconds, as between echo requests of LCP
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 10),  # seconds
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3),
    # Seconds that what was sent may go unanswered: keepalives are not sent meanwhile (tcp(7)).
    (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 60_000),
)


class TcpPort:
    """Implements `router.host.ppp.port.Port`; who opens it says how long that may take."""

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port
        self._socket: socket.socket | None = None

    @property
    def name(self) -> str:
        """Return the host and its port."""
        return f"{self._host} port {self._port}"

    @property
    def descriptor(self) -> int:
        """Return the descriptor of the connection."""
        assert self._socket is not None
        return self._socket.fileno()

    async def open(self) -> None:
        """Find the host and connect to the first of its addresses that answers."""
        loop = asyncio.get_running_loop()
        try:
            found = await loop.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):  # a label of a name may be too long to encode
            raise DialError(f"there is no address of {self._host}") from None
        why = ""
        for family, kind, protocol, _, address in found:
            try:
                self._socket = await _connected(family, kind, protocol, address)
            except OSError as error:
                why = os.strerror(error.errno or 0).lower()
            else:
                return
        raise DialError(f"{self.name}: {why}")

    def heed_carrier(self) -> None:
        """Do nothing: the end of the connection always counts."""

    async def send_break(self) -> None:
        """Do nothing: there is none in a stream of octets."""

    async def close(self) -> None:
        """End the connection; what is on its way may still arrive."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None


async def _connected(
    family: int, kind: int, protocol: int, address: tuple[object, ...]
) -> socket.socket:
    made = socket.socket(family, kind, protocol)
    try:
        made.setblocking(False)
        for level, option, value in _OPTIONS:
            made.setsockopt(level, option, value)
        await asyncio.get_running_loop().sock_connect(made, address)
    except BaseException:
        made.close()
        raise
    return made
