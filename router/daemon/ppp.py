"""What the configuration says about a PPP line, made into its backend."""

import random
from collections.abc import Callable, Sequence
from pathlib import Path

from router.chat.machine import Chat
from router.config import PppLink
from router.config.media import Ethernet, Program, Serial, Tcp
from router.config.pppfiles import load_chat, load_password
from router.host.lines.ppp import PppBackend
from router.host.ppp.ethernet import PppoeLine
from router.host.ppp.line import DialledLine
from router.host.ppp.port import Port
from router.host.ppp.pty import PtyPort
from router.host.ppp.stream import StreamLine
from router.host.ppp.tcp import TcpPort
from router.host.ppp.tty import TtyPort
from router.ppp.discovery import DiscoveryConfig
from router.ppp.types import Echo, Login, SessionConfig

__all__ = ["ppp_backend"]


def ppp_backend(
    link: PppLink,
    netns: str,
    is_outside: Callable[[int], bool],
    tap: Callable[[bytes, bool], None] | None = None,
) -> PppBackend:
    """Return what raises a PPP line, as `PppBackend` has it."""
    rng = random.SystemRandom()
    config = SessionConfig(
        mru=link.mtu, mtu=link.mtu, echo=Echo(link.echo_interval, link.echo_failures)
    )
    return PppBackend(
        link.name,
        _line(link, netns, rng),
        config,
        netns=netns,
        device=link.device,
        rng=rng,
        login=lambda: _login(link),
        is_outside=is_outside,
        tap=tap,
        hang_up_timeout_s=link.hang_up_timeout,
    )


def _login(link: PppLink) -> Login | None:
    if link.user is None or link.password_file is None:
        return None
    return Login(link.user, load_password(link.password_file), link.auth)


def _line(link: PppLink, netns: str, rng: random.Random) -> DialledLine:
    match link.line:
        case Ethernet(device):
            wanted = DiscoveryConfig(link.service, link.concentrator)
            return PppoeLine(device, netns=netns, rng=rng, config=wanted)
        case Program(command):
            return _stream(link, PtyPort(command))
        case Tcp(host, port):
            return _stream(link, TcpPort(host, port))
        case Serial(path):
            return _stream(link, TtyPort(path, link.speed, link.flow_control), link.speed)


def _stream(link: PppLink, port: Port, speed: int = 0) -> DialledLine:
    hang_up_chat = None if link.hang_up_chat is None else _chat(link.hang_up_chat)
    return StreamLine(port, _chats(link), hang_up_chat=hang_up_chat, speed=speed)


def _chats(link: PppLink) -> Sequence[Callable[[], Chat]]:
    """Return what makes the chat with the modem, one for each number."""
    if link.chat is None:
        return ()
    return [_chat(link.chat, number) for number in link.number or ("",)]


def _chat(path: Path, number: str = "") -> Callable[[], Chat]:
    """Return what makes a chat of the script as it is then, so that changing the file is enough."""

    def make() -> Chat:
        script, secrets = load_chat(path)
        return Chat(script, number, secrets)

    return make
