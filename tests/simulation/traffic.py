"""Hosts that fetch pages and an Internet that answers, in time order and without end.

Neither end has a state but what is on the wire: each packet that leaves the router is answered, if
there is an answer to it, after a delay. So whatever the router loses ends a talk for good, and what
was fetched in the end says whether anything was lost. Packets are built and read here, apart from
the router's code and fast enough for a month of them.
"""

import heapq
import struct
from collections import Counter
from collections.abc import Callable, Iterable
from math import inf

from router.departure import Transmit
from router.devices import Side
from tests.lab.packets import VNET_LENGTH
from tests.lab.provider import Office

__all__ = ["Traffic", "packed", "segment"]

_SYN, _FIN, _PUSH_ACK, _ACK = 0x02, 0x11, 0x18, 0x10
_SYN_ACK = _SYN | _ACK
_ANSWERS = {_SYN: _SYN_ACK, _PUSH_ACK: _PUSH_ACK, _FIN: _FIN}
_SERVED = (25, 80)  # TCP ports at which the Internet answers
_IP = struct.Struct("!BBHHHBBH4s4s")
_TCP = struct.Struct("!HHIIBBHHH")
_UDP = struct.Struct("!HHHH")
_LAN_DELAY_S = 0.001
_ICMP, _TCP_PROTOCOL, _UDP_PROTOCOL = 1, 6, 17


def packed(address: str) -> bytes:
    return bytes(map(int, address.split(".")))


def segment(
    protocol: int, source: tuple[bytes, int], destination: tuple[bytes, int], flags: int = _SYN
) -> bytes:
    """A frame: TCP with `flags`, or UDP with four bytes of data, checksums right."""
    ports = (source[1], destination[1])
    if protocol == _TCP_PROTOCOL:
        acknowledgment = 1 if flags & _ACK else 0
        body = bytearray(_TCP.pack(*ports, 1, acknowledgment, 5 << 4, flags, 65535, 0, 0))
    else:
        body = bytearray(_UDP.pack(*ports, 12, 0) + b"data")
    pseudo = source[0] + destination[0] + struct.pack("!HH", protocol, len(body))
    struct.pack_into("!H", body, 16 if protocol == _TCP_PROTOCOL else 6, _sum(pseudo + body))
    fields = (0x45, 0, 20 + len(body), 1, 0x4000, 64, protocol)
    header = bytearray(_IP.pack(*fields, 0, source[0], destination[0]))
    struct.pack_into("!H", header, 10, _sum(header))
    return bytes(VNET_LENGTH) + bytes(header) + bytes(body)


def _sum(data: bytes | bytearray) -> int:
    words: tuple[int, ...] = struct.unpack(f"!{len(data) // 2}H", data)
    return 0xFFFF - sum(words) % 0xFFFF


class Traffic:
    """What is sent into an office at its time, and what comes of it.

    `fetched` counts, per host, pages that arrived whole; `refused` ICMP errors by type and code.
    """

    def __init__(self, office: Office, *, delay_s: float = 0.1) -> None:
        self.office = office
        self.fetched: Counter[bytes] = Counter()
        self.refused: Counter[tuple[int, int]] = Counter()
        self.sent = 0
        self._delay_s = delay_s
        self._events: list[tuple[float, int, Callable[[], Iterable[Transmit]]]] = []
        self._serial = 0
        self._pages: dict[tuple[bytes, int], tuple[bytes, int]] = {}

    def at(self, when: float, action: Callable[[], Iterable[Transmit]]) -> None:
        """Do something at an instant; what leaves for it is answered."""
        self._serial += 1
        heapq.heappush(self._events, (when, self._serial, action))

    def send(self, when: float, side: Side, frame: bytes) -> None:
        """Let a frame in at an instant."""
        self.at(when, lambda: self._enter(side, frame))

    def fetch(
        self,
        when: float,
        host: tuple[bytes, int],
        server: tuple[bytes, int],
        page: tuple[bytes, int],
    ) -> None:
        """Have a host ask a name server, and then fetch a page and close."""
        self._pages[host] = page
        self.send(when, Side.LAN, segment(_UDP_PROTOCOL, host, server))

    def run(self, until: float) -> None:
        """Let everything happen up to an instant."""
        simulation = self.office.simulation
        while (at := min(self._next(), simulation.next_due())) <= until:
            self._answer(simulation.advance(at))
            if self._next() <= at:
                self._answer(heapq.heappop(self._events)[-1]())
        simulation.advance(until)
        self.office.now = simulation.now

    def _next(self) -> float:
        return self._events[0][0] if self._events else inf

    def _enter(self, side: Side, frame: bytes) -> list[Transmit]:
        self.sent += 1
        return self.office.simulation.enter(side, frame)

    def _answer(self, leaving: Iterable[Transmit]) -> None:
        for side, frame in leaving:
            ip = VNET_LENGTH
            protocol, source, destination = (
                frame[ip + 9],
                frame[ip + 12 : ip + 16],
                frame[ip + 16 : ip + 20],
            )
            if protocol == _ICMP:
                self.refused[(frame[ip + 20], frame[ip + 21])] += 1
                continue
            source_port, destination_port = struct.unpack_from("!HH", frame, ip + 20)
            flags = frame[ip + 33] if protocol == _TCP_PROTOCOL else 0
            here, there = (destination, destination_port), (source, source_port)
            if side is Side.WAN:
                self._by_internet(protocol, here, there, flags)
            else:
                self._by_host(protocol, here, there, flags)

    def _by_internet(
        self, protocol: int, here: tuple[bytes, int], there: tuple[bytes, int], flags: int
    ) -> None:
        reply = 0 if protocol == _UDP_PROTOCOL else _ANSWERS.get(flags)
        if reply is not None and (protocol == _UDP_PROTOCOL or here[1] in _SERVED):
            self._reply(Side.WAN, self._delay_s, segment(protocol, here, there, reply))

    def _by_host(
        self,
        protocol: int,
        here: tuple[bytes, int],
        there: tuple[bytes, int],
        flags: int,
    ) -> None:
        replies: tuple[int, ...] = ()
        if protocol == _UDP_PROTOCOL:
            page = self._pages.pop(here, None)
            if page is not None:
                self._reply(Side.LAN, _LAN_DELAY_S, segment(_TCP_PROTOCOL, here, page))
        elif flags == _SYN_ACK:
            replies = (_ACK, _PUSH_ACK)
        elif flags == _PUSH_ACK:
            replies = (_FIN,)
        elif flags == _FIN:
            self.fetched[here[0]] += 1
            replies = (_ACK,)
        for reply in replies:
            self._reply(Side.LAN, _LAN_DELAY_S, segment(protocol, here, there, reply))

    def _reply(self, side: Side, delay_s: float, frame: bytes) -> None:
        self.send(self.office.simulation.now + delay_s, side, frame)
