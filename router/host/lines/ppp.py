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

Engine and session go with each rise, and what they have counted is kept here.
"""

import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from router.devices import Rng
from router.errors import ConfigError
from router.host.lines.backend import DialError, LineAddress, LineLostError, RefusedError
from router.host.lines.details import LineDetails
from router.host.ppp.engine import EndedError, Engine
from router.host.ppp.line import DialledLine
from router.host.ppp.tun import PacketTun, open_packet_tun
from router.ppp.backlog import Cause
from router.ppp.methods import describe, value_of
from router.ppp.types import End, Login, Opened, SessionConfig
from router.wire.address import MAX_PREFIX, format_address

__all__ = ["PppBackend"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Tally:
    """What sessions have counted."""

    received: int = 0
    sent: int = 0
    malformed: int = 0
    dropped: Counter[Cause] = field(default_factory=Counter)

    def plus(self, engine: Engine) -> "_Tally":
        """Return the sum of this and of what an engine has counted."""
        counters = engine.session.counters
        return _Tally(
            self.received + counters.received_frames,
            self.sent + counters.sent_frames,
            self.malformed + counters.malformed,
            self.dropped + engine.backlog.dropped,
        )


class PppBackend:
    """Implements `router.host.lines.backend.Backend` and `Detailed`; made where an event loop runs.

    `login` returns who we are, for each dial anew; it may raise ConfigError. `is_outside` is
    whether an address may be beyond the line. `tap` is given each frame, and whether it came in.
    Half of the hang-up timeout is for the session's good-bye, half for the line's.
    """

    def __init__(
        self,
        link: str,
        line: DialledLine,
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
        self._past = _Tally()  # of engines that are gone

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
            self._past = self._past.plus(self._engine)
            self._engine = None

    async def close(self) -> None:
        """Have the line down, should it not be."""
        await self.hang_up()

    def details(self) -> LineDetails:
        """Return what the line has got and what has been counted."""
        engine = self._engine
        tally = self._past if engine is None else self._past.plus(engine)
        opened = None if engine is None else engine.opened
        method = None if opened is None else opened.method
        peer = 0 if opened is None else opened.peer_address
        dns = () if opened is None else self._name_servers(opened)
        return LineDetails(
            carrier=self._line.carrier,
            login="" if method is None else describe(value_of(method)),
            peer=format_address(peer) if peer else "",
            dns=tuple(map(format_address, dns)),
            waiting_packets=0 if engine is None else len(engine.backlog),
            frames={"received": tally.received, "sent": tally.sent},
            bad_frames={**self._line.bad_frames, "malformed": tally.malformed},
            dropped_packets={cause.name.lower(): tally.dropped[cause] for cause in Cause},
        )

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
        dns = self._name_servers(opened)
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

    def _name_servers(self, opened: Opened) -> tuple[int, ...]:
        return tuple(server for server in opened.dns if self._is_outside(server))
