"""The other side of `discovery`: an access concentrator (RFC 2516), for the lab.

Theory of operation. Nothing is kept of a host until it has asked for a session with the cookie that
its offer had, so that made-up addresses cost nothing (RFC 2516 section 9): the cookie is a keyed
hash of the host's MAC address. A host is known by its MAC address and its Host-Uniq; when it asks
again it gets the session it has, because the confirmation may have been lost. There are no timers:
a host that has gone is noticed by PPP's echo.

| packet | answer |
|---|---|
| PADI for a service there is | PADO, with all services |
| PADI for another one | none, as it must be |
| PADR for a service there is | PADS with a session |
| PADR of a host that has its session | the same PADS |
| PADR for another service | PADS with Service-Name-Error |
| PADR when all sessions are taken | PADS with AC-System-Error |
| PADR without its cookie | none |
| PADT of the host whose session it is | none; the session is over |
| anything else | none |
"""

import hmac
from dataclasses import dataclass

from router.devices import Rng
from router.ppp.discovery import said_in
from router.wire.malformed import Malformed
from router.wire.pppoe import (
    NO_SESSION,
    RESERVED_SESSION,
    Code,
    Packet,
    Tag,
    TagKind,
    value_of,
)

__all__ = ["Admitted", "Concentrator", "Ended"]

MOST_SESSIONS = RESERVED_SESSION - 1  # 0 and 0xffff are no sessions
_SECRET_LENGTH = 32  # octets: as the hash has
_COOKIE_LENGTH = 16  # octets, of the hash's 32: enough not to be guessed, and room for relays
_FULL = "all sessions are taken"


@dataclass(frozen=True, slots=True)
class Admitted:
    """A host has a session: PPP may begin."""

    session: int
    host: bytes
    service: str


@dataclass(frozen=True, slots=True)
class Ended:
    """A session is over; nothing may be sent in it any more."""

    session: int
    why: str


@dataclass(frozen=True, slots=True)
class _Host:
    mac: bytes
    uniq: bytes | None


class Concentrator:
    """An access concentrator with a name, the services it has, and a number of sessions at most.

    Any service, the empty name, is always among the services. `hosts` has the MAC address of each
    session. `malformed` counts packets that were none.
    """

    def __init__(
        self,
        name: str,
        *,
        rng: Rng,
        services: tuple[str, ...] = (),
        limit: int = MOST_SESSIONS,
    ) -> None:
        self.malformed = 0
        self._name = Tag(TagKind.AC_NAME, name.encode())
        self._services = tuple(
            Tag(TagKind.SERVICE_NAME, service.encode()) for service in ("", *services)
        )
        self._rng = rng
        self._limit = limit
        self._secret = rng.randrange(0, 1 << 8 * _SECRET_LENGTH).to_bytes(_SECRET_LENGTH, "big")
        self._sessions: dict[int, _Host] = {}
        self._packets: list[tuple[bytes, bytes]] = []
        self._events: list[Admitted | Ended] = []

    @property
    def hosts(self) -> dict[int, bytes]:
        """The MAC address of the host of each session."""
        return {session: host.mac for session, host in self._sessions.items()}

    def receive(self, source: bytes, data: bytes) -> None:
        """Take a discovery packet from a MAC address."""
        packet = Packet.parse(data)
        tags = packet if isinstance(packet, Malformed) else Tag.parse_all(packet.payload)
        if isinstance(packet, Malformed) or isinstance(tags, Malformed):
            self.malformed += 1
        elif packet.code == Code.PADI and packet.session == NO_SESSION:
            self._offer(source, tags)
        elif packet.code == Code.PADR and packet.session == NO_SESSION:
            self._answer(source, tags)
        elif packet.code == Code.PADT and self.hosts.get(packet.session) == source:
            self._forget(packet.session, said_in(tags) or "hung up by the host")

    def terminate(self, session: int, why: str = "") -> None:
        """End a session, if there is one of that number, and tell the host why."""
        host = self._sessions.get(session)
        if host is not None:
            tags = (Tag(TagKind.GENERIC_ERROR, why.encode()),) if why else ()
            self._send(host.mac, Code.PADT, tags, session)
            self._forget(session, why or "hung up by us")

    def take_packets(self) -> list[tuple[bytes, bytes]]:
        """Return what is to be sent, each with the MAC address it goes to, and forget it."""
        packets, self._packets = self._packets, []
        return packets

    def take_events(self) -> list[Admitted | Ended]:
        """Return what has happened, in order, and forget it."""
        events, self._events = self._events, []
        return events

    def _offer(self, host: bytes, tags: tuple[Tag, ...]) -> None:
        service = self._service_in(tags)
        if service is not None:
            others = [other for other in self._services if other != service]
            cookie = Tag(TagKind.AC_COOKIE, self._cookie(host))
            self._send(host, Code.PADO, (self._name, service, *others, cookie, *_echoed(tags)))

    def _answer(self, mac: bytes, tags: tuple[Tag, ...]) -> None:
        cookie = value_of(tags, TagKind.AC_COOKIE) or b""
        if not hmac.compare_digest(cookie, self._cookie(mac)):
            return
        service = self._service_in(tags)
        if service is None:
            self._refuse(mac, tags, Tag(TagKind.SERVICE_NAME_ERROR, b""))
            return
        session = self._session_of(_Host(mac, value_of(tags, TagKind.HOST_UNIQ)), service)
        if session is None:
            self._refuse(mac, tags, Tag(TagKind.AC_SYSTEM_ERROR, _FULL.encode()))
            return
        self._send(mac, Code.PADS, (service, self._name, *_echoed(tags)), session)

    def _service_in(self, tags: tuple[Tag, ...]) -> Tag | None:
        """Return the one service that is asked for, if it is one there is."""
        asked = [tag for tag in tags if tag.kind == TagKind.SERVICE_NAME]
        return asked[0] if len(asked) == 1 and asked[0] in self._services else None

    def _session_of(self, host: _Host, service: Tag) -> int | None:
        for session, known in self._sessions.items():
            if known == host:
                return session
        if len(self._sessions) >= self._limit:
            return None
        session = self._rng.randrange(1, RESERVED_SESSION)
        while session in self._sessions:
            session = session % MOST_SESSIONS + 1
        self._sessions[session] = host
        self._events.append(Admitted(session, host.mac, service.value.decode()))
        return session

    def _forget(self, session: int, why: str) -> None:
        del self._sessions[session]
        self._events.append(Ended(session, why))

    def _refuse(self, mac: bytes, tags: tuple[Tag, ...], error: Tag) -> None:
        self._send(mac, Code.PADS, (error, self._name, *_echoed(tags)))

    def _cookie(self, host: bytes) -> bytes:
        return hmac.digest(self._secret, host, "sha256")[:_COOKIE_LENGTH]

    def _send(
        self, to: bytes, code: Code, tags: tuple[Tag, ...], session: int = NO_SESSION
    ) -> None:
        self._packets.append((to, Packet(code, session, Tag.build_all(tags)).build()))


def _echoed(tags: tuple[Tag, ...]) -> list[Tag]:
    return [tag for tag in tags if tag.kind in (TagKind.HOST_UNIQ, TagKind.RELAY_SESSION_ID)]
