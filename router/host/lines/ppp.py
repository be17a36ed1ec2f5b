"""A line on which the router speaks PPP itself.

Theory of operation. A rise is: a carrier (`router.host.ppp.line`: a dialled modem, a program, a
connection, an access concentrator), then the session (`router.host.ppp.engine`), then a device in
the WAN namespace with what the provider has assigned. All of it lives in this process and goes with
it, so no line is ever found up: a serial port that its program has left hangs up by itself (HUPCL),
and a concentrator hears no echo.

A login that the provider refuses is told apart from other failures, because trying it again does
not help and providers lock accounts. Password and chat are read for each dial, so that a corrected
file is enough.

What a provider assigns is not believed blindly. An address that is on the LAN, or on no network at
all, makes no line: packets would have nowhere to come back to, and no address may be on both sides
(RFC 4787 REQ-7). Name servers at such addresses are passed over.
"""

import logging
from collections.abc import Callable
from dataclasses import replace

from router.devices import Rng
from router.errors import ConfigError
from router.host.lines.backend import DialError, LineAddress, LineLostError, RefusedError
from router.host.ppp.engine import EndedError, Engine
from router.host.ppp.line import Line
from router.host.ppp.tun import PacketTun, open_packet_tun
from router.ppp.types import End, Login, Opened, SessionConfig
from router.wire.address import MAX_PREFIX, format_address

__all__ = ["PppBackend"]

_log = logging.getLogger(__name__)


class PppBackend:
    """Implements `router.host.lines.backend.Backend`; made where an event loop runs.

    `login` returns who we are, for each dial anew; it may raise ConfigError. `is_outside` is
    whether an address may be beyond the line. `tap` is given each frame, and whether it came in.
    Half of the hang-up timeout is for the session's good-bye, half for the line's.
    """

    def __init__(
        self,
        link: str,
        line: Line,
        config: SessionConfig,
        *,
        netns: str,
        device: str,
        rng: Rng,
        login: Callable[[], Login | None] = lambda: None,
        is_outside: Callable[[int], bool] = lambda _: True,
        tap: Callable[[bytes, bool], None] | None = None,
        hang_up_timeout_s: float = 15.0,
    ) -> None:
        self._link = link
        self._line = line
        self._config = config
        self._netns = netns
        self._device = device
        self._rng = rng
        self._login = login
        self._is_outside = is_outside
        self._tap = tap
        self._good_bye_s = hang_up_timeout_s / 2
        self._engine: Engine | None = None

    async def probe(self) -> LineAddress | None:
        """Return None: what another process has raised went with it."""
        return None

    async def dial(self, progress: Callable[[], None]) -> LineAddress:
        """Have a carrier, log in, and return what the provider assigns."""
        self._engine = Engine(
            self._session_config(), self._line, self._open_device, rng=self._rng, tap=self._tap
        )
        await self._engine.connect()
        progress()
        try:
            return self._address(await self._engine.open())
        except EndedError as error:
            raise (RefusedError if error.end.is_refusal else DialError)(str(error)) from None

    async def watch(self) -> LineAddress:
        """Wait for other addresses or the end of the session."""
        assert self._engine is not None
        try:
            return self._address(await self._engine.change())
        except EndedError as error:
            raise LineLostError(str(error)) from None

    async def hang_up(self) -> None:
        """End the session in good form, and have the line down."""
        if self._engine is not None:
            await self._engine.hang_up(self._good_bye_s)
            self._engine = None

    async def close(self) -> None:
        """Have the line down, should it not be."""
        await self.hang_up()

    def _session_config(self) -> SessionConfig:
        try:
            login = self._login()
        except ConfigError as error:
            raise DialError(str(error)) from None
        mru = min(self._config.mru, self._line.mru)
        mtu = min(self._config.mtu, self._line.mru)
        return replace(self._config, login=login, mru=mru, mtu=mtu, is_async=self._line.is_async)

    def _open_device(self, opened: Opened) -> PacketTun:
        return open_packet_tun(self._device, netns=self._netns, mtu=opened.mtu)

    def _address(self, opened: Opened) -> LineAddress:
        """Return what the line has; raises EndedError if it cannot have that."""
        if not self._is_outside(opened.address):
            address = format_address(opened.address)
            why = f"the provider assigns {address}, which is not an address beyond the line"
            raise EndedError(End.NO_ADDRESS, why)
        dns = tuple(server for server in opened.dns if self._is_outside(server))
        for server in sorted({*opened.dns} - {*dns}):
            _log.warning("%s: no name server can be at %s", self._link, format_address(server))
        _log.info(
            "%s: logged in, %s to %s, MTU %d",
            self._link,
            format_address(opened.address),
            format_address(opened.peer_address),
            opened.mtu,
        )
        return LineAddress(opened.address, MAX_PREFIX, opened.mtu, dns=dns)
