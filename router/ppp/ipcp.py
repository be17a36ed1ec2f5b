"""The Internet protocol control protocol: who has which address (RFC 1332, RFC 1877).

Theory of operation. An address of 0 in a request is a question, and the nak to it the answer. So a
client asks for its address and its name servers with zeros, and a server that knows what its peer
is to have naks everything else. An address that is configured is not given up for another.

A peer that has an address for us says so at once; one that confirms 0, rejects the question or
offers what no host can have is one that assigns none. Name servers nobody offers are done without.

Left out, and rejected: header compression (RFC 1144: this router's packets pass through a fast
path that has none) and the deprecated option with both addresses.
"""

from collections.abc import Sequence
from enum import IntEnum

from router.devices import Rng
from router.ppp.control import Control
from router.ppp.counters import Counters
from router.ppp.types import End, SessionConfig
from router.wire.address import format_address
from router.wire.ppp import Option, Packet, Protocol

__all__ = ["Ipcp", "Kind"]

_ADDRESS_LENGTH = 4  # octets
_LOOPBACK = 127  # the first octet of what never leaves a host (RFC 1122 section 3.2.1.3)
_MULTICAST = 224  # the first octet from which on no address is a host's (RFC 1112 section 4)


class Kind(IntEnum):
    """IPCP's options that are spoken here (RFC 1332 section 3.3, RFC 1877 section 1)."""

    ADDRESS = 3
    FIRST_DNS = 129
    SECOND_DNS = 131


_DNS = (Kind.FIRST_DNS, Kind.SECOND_DNS)


class Ipcp(Control):
    """The addresses of one established link; `mtu` is the largest packet the peer takes."""

    protocol = Protocol.IPCP

    def __init__(self, config: SessionConfig, counters: Counters, mtu: int, *, rng: Rng) -> None:
        super().__init__(config.retries, counters, rng=rng)
        self.mtu = mtu
        self._config = config
        self.optional = frozenset(_DNS if config.address == 0 else Kind)

    # What was agreed

    @property
    def largest(self) -> int:
        """The most the peer takes in one packet."""
        return self.mtu

    @property
    def address(self) -> int:
        """Our address."""
        wish = self.wishes.get(Kind.ADDRESS)
        return self._config.address if wish is None else _number(wish)

    @property
    def peer_address(self) -> int:
        """The peer's address, 0 if it has told none."""
        return _number(self.granted.get(Kind.ADDRESS, b""))

    @property
    def dns(self) -> tuple[int, ...]:
        """The name servers the peer has offered."""
        found = (_number(self.wishes.get(kind, b"")) for kind in _DNS)
        return tuple(dict.fromkeys(address for address in found if address))

    # What we ask for

    def wanted(self) -> dict[int, bytes]:
        """Return our address, and questions."""
        wishes: dict[int, bytes] = {Kind.ADDRESS: _octets(self._config.address)}
        if self._config.asks_dns:
            wishes.update(dict.fromkeys(_DNS, _octets(0)))
        return wishes

    def adapt(self, hint: Option) -> None:
        """Take an answer; what was not asked for is not taken."""
        kind, value = hint
        if kind not in self.wishes or len(value) != _ADDRESS_LENGTH:
            return
        if kind == Kind.ADDRESS:
            self._take_address(_number(value))
        elif _number(value):
            self.wishes[kind] = value
        else:
            del self.wishes[kind]

    def _take_address(self, address: int) -> None:
        if self._config.address:
            return
        if address and not _can_be_a_hosts(address):
            self.fail(End.NO_ADDRESS, f"{format_address(address)} cannot be a host's")
        self.wishes[Kind.ADDRESS] = _octets(address)

    def forgo(self, kind: int) -> None:
        """Do without; but not without an address."""
        if kind == Kind.ADDRESS and not self._config.address:
            self.fail(End.NO_ADDRESS, "the question is rejected")

    def agreed(self) -> None:
        """See whether there is an address."""
        if not self.address:
            self.fail(End.NO_ADDRESS, "0.0.0.0 is confirmed")

    # What the peer asks for

    def judge(self, option: Option) -> Option | None:
        """Say what we make of it."""
        kind, value = option
        if kind == Kind.ADDRESS and not self._config.peer_address:
            fits = len(value) == _ADDRESS_LENGTH and _can_be_a_hosts(_number(value))
            return option if fits else None
        right = self._offers().get(kind)
        return None if right is None else Option(kind, _octets(right))

    def _offers(self) -> dict[int, int]:
        """Return what the peer is to have; the only name server is both its first and second."""
        dns = self._config.dns
        offers: dict[int, int] = {Kind.FIRST_DNS: dns[0], Kind.SECOND_DNS: dns[-1]} if dns else {}
        if self._config.peer_address:
            offers[Kind.ADDRESS] = self._config.peer_address
        return offers

    def missing(self, kinds: frozenset[int]) -> Sequence[Option]:
        """Return the address the peer has to ask for, if it is to have a certain one."""
        address = self._config.peer_address
        if not address or Kind.ADDRESS in kinds:
            return ()
        return (Option(Kind.ADDRESS, _octets(address)),)

    def naked(self, kinds: frozenset[int]) -> None:
        """Nothing to note: a nak says all there is."""

    def handle_other(self, packet: Packet, now: float) -> bool:  # noqa: ARG002
        """There are no other packets (RFC 1332 section 2)."""
        return False


def _octets(address: int) -> bytes:
    return address.to_bytes(_ADDRESS_LENGTH, "big")


def _number(value: bytes) -> int:
    return int.from_bytes(value, "big")


def _can_be_a_hosts(address: int) -> bool:
    first = address >> 24
    return 0 < first < _MULTICAST and first != _LOOPBACK
