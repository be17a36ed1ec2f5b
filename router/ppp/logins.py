"""Who proves who he is on one established link: up to two exchanges, one each way.

The side that demands and the side that proves itself may speak the same protocol or two different
ones. Both stay for as long as the link is established; see `router.ppp.exchange`.
"""

from collections.abc import Iterator

from router.devices import Rng
from router.ppp.chap import Algorithm, ChapClient, ChapServer, Md5
from router.ppp.control import Failure
from router.ppp.exchange import Exchange, Outcome
from router.ppp.mschap import MsChapV2
from router.ppp.pap import PapClient, PapServer
from router.ppp.party import NO_ANSWER
from router.ppp.types import End, Method, SessionConfig
from router.wire.ppp import Packet, Protocol

__all__ = ["Logins"]


class Logins:
    """The exchanges LCP has agreed on: how the peer proves who it is, and how we do."""

    def __init__(
        self, config: SessionConfig, peers: Method | None, ours: Method | None, *, rng: Rng
    ) -> None:
        self._server = _server(config, peers, rng) if peers is not None else None
        self._client = _client(config, ours, self._server, rng) if ours is not None else None

    def _exchanges(self) -> Iterator[Exchange]:
        if self._server is not None:
            yield self._server
        if self._client is not None:
            yield self._client

    @property
    def user(self) -> str:
        """Who the peer has proved to be, "" where nothing was demanded."""
        return self._server.user if self._server is not None else ""

    @property
    def have_passed(self) -> bool:
        """Whether nothing is left to prove."""
        return all(exchange.outcome is Outcome.PASSED for exchange in self._exchanges())

    @property
    def failure(self) -> Failure | None:
        """Why the link may not be used, if so."""
        server, client = self._server, self._client
        if client is not None and client.outcome is Outcome.FAILED:
            silent = client.message == NO_ANSWER
            return Failure(End.SILENT, "login") if silent else Failure(End.REFUSED, client.message)
        if server is not None and server.outcome is Outcome.FAILED:
            return Failure(End.UNPROVEN, server.message)
        return None

    def speak(self, protocol: int) -> bool:
        """Whether an exchange is of this protocol."""
        return any(exchange.protocol == protocol for exchange in self._exchanges())

    def begin(self, now: float) -> None:
        """Begin, because the link is established."""
        for exchange in self._exchanges():
            exchange.begin(now)

    def receive(self, protocol: int, packet: Packet, now: float) -> None:
        """Take a packet; which role it is for its code says."""
        for exchange in self._exchanges():
            if exchange.protocol == protocol:
                exchange.receive(packet, now)

    def handle_timer(self, now: float) -> None:
        """Do what is due."""
        for exchange in self._exchanges():
            exchange.handle_timer(now)

    def next_deadline(self) -> float | None:
        """Return when `handle_timer` has something to do."""
        due = (exchange.next_deadline() for exchange in self._exchanges())
        return min((at for at in due if at is not None), default=None)

    def take_packets(self) -> list[tuple[Protocol, Packet]]:
        """Return what is to be sent, in order, and forget it."""
        return [
            (exchange.protocol, packet)
            for exchange in self._exchanges()
            for packet in exchange.take_packets()
        ]


def _algorithm(method: Method) -> Algorithm:
    return MsChapV2() if method is Method.MSCHAPV2 else Md5()


def _server(config: SessionConfig, method: Method, rng: Rng) -> PapServer | ChapServer:
    assert config.demand is not None  # else LCP would not have demanded
    if method is Method.PAP:
        return PapServer(config.demand, config.retries, rng=rng)
    return ChapServer(config.demand, _algorithm(method), config.retries, rng=rng)


def _client(
    config: SessionConfig, method: Method, server: Exchange | None, rng: Rng
) -> PapClient | ChapClient:
    assert config.login is not None  # else LCP would have rejected the demand
    if method is Method.PAP:
        return PapClient(config.login, config.retries, rng=rng)
    beside = server if isinstance(server, ChapServer) else None
    return ChapClient(config.login, _algorithm(method), rng=rng, server=beside)
