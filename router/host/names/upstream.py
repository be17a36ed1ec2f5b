"""The provider's name servers, asked by the router for its hosts.

Theory of operation. Servers are asked in turn, each try for its time, by a datagram from a socket
of its own: its port is the kernel's choice, by chance, and the query's id is ours, so that a
stranger who would answer first must guess both (RFC 5452, section 9). Only what comes from the
server asked, with that id and that question, is heard; late answers to earlier tries are, too. An
answer that says nothing about the name, and a server that cannot be reached, lead to the next try
at once; one that does not understand EDNS is asked without. What does not fit into a datagram is
asked for again by TCP.

The sockets have the router's LAN address, so their packets go by the TUN and the forwarder as those
of any host. They hear that TUN only: a host of the LAN cannot pass itself off as a name server.
"""

import asyncio
import socket
from collections.abc import Sequence
from contextlib import suppress

import dns.flags
import dns.rcode

from router.devices import Rng
from router.errors import DeviceError
from router.host.machine import netns
from router.host.names.limits import TCP_TRY_S, TRIES_S
from router.host.names.questions import Answer, Question, read_answer, without_truncation
from router.wire.address import format_address

__all__ = ["Upstream"]

PORT = 53  # RFC 1035, section 4.2
_IDS = 1 << 16
_NO_EDNS = frozenset({dns.rcode.FORMERR, dns.rcode.NOTIMP})  # RFC 6891, section 7

_Place = tuple[str, int]


class Upstream:
    """Asks from the LAN address `source` by the TUN `device` in the LAN's namespace."""

    def __init__(
        self, netns_name: str, source: int, device: str, rng: Rng, *, port: int = PORT
    ) -> None:
        self._netns = netns_name
        self._source = format_address(source)
        self._device = device
        self._rng = rng
        self._port = port

    async def seek(self, question: Question, servers: Sequence[int]) -> Answer | None:
        """Return what the first of `servers` to know says; None if none does."""
        if not servers:
            return None
        lookup = _Lookup(question)
        try:
            for number, wait_s in enumerate(TRIES_S):
                server = servers[number % len(servers)]
                with suppress(OSError, DeviceError):
                    await self._ask(lookup, server)
                    await lookup.settled(wait_s)
                if lookup.answer is not None:
                    break
        finally:
            lookup.close()
        answer = lookup.answer or lookup.failure
        if answer is None or not answer.flags & dns.flags.TC:
            return answer
        with suppress(OSError, DeviceError, TimeoutError, asyncio.IncompleteReadError):
            async with asyncio.timeout(TCP_TRY_S):
                return await self._ask_by_tcp(question, lookup.answered_by) or answer
        return answer

    async def _ask(self, lookup: "_Lookup", server: int) -> None:
        number = self._rng.randrange(0, _IDS)
        place = (format_address(server), self._port)
        with self._socket(socket.SOCK_DGRAM) as made:
            made.connect(place)
            opened = made.dup()
        opened.setblocking(False)
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(
            lambda: _Try(lookup, number, place), sock=opened
        )
        lookup.transports.append(transport)
        transport.sendto(lookup.question.message(number, edns=lookup.edns).to_wire())

    async def _ask_by_tcp(self, question: Question, place: _Place) -> Answer | None:
        number = self._rng.randrange(0, _IDS)
        made = self._socket(socket.SOCK_STREAM)
        try:
            await asyncio.get_running_loop().sock_connect(made, place)
            reader, writer = await asyncio.open_connection(sock=made)
        except BaseException:
            made.close()
            raise
        try:
            wire = question.message(number).to_wire()
            writer.write(len(wire).to_bytes(2, "big") + wire)
            length = int.from_bytes(await reader.readexactly(2), "big")
            answer = read_answer(await reader.readexactly(length), question, number)
        finally:
            writer.close()
        return None if answer is None else without_truncation(answer)

    def _socket(self, kind: socket.SocketKind) -> socket.socket:
        with netns.inside(self._netns):
            made = socket.socket(socket.AF_INET, kind)
        try:
            made.setblocking(False)
            made.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, self._device.encode())
            made.bind((self._source, 0))
        except BaseException:
            made.close()
            raise
        return made


class _Lookup:
    """One question at several servers; `failure` is the last answer that says nothing."""

    def __init__(self, question: Question) -> None:
        self.question = question
        self.answer: Answer | None = None
        self.failure: Answer | None = None
        self.answered_by: _Place = ("", 0)
        self.edns = True
        self.transports: list[asyncio.DatagramTransport] = []
        self._news = asyncio.Event()

    async def settled(self, wait_s: float) -> None:
        """Wait for an answer, or that this try is over."""
        if self.answer is not None:
            return
        self._news.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                await self._news.wait()

    def hear(self, answer: Answer, place: _Place) -> None:
        if self.answer is None:
            if answer.is_failure:
                self.failure = answer
                self.edns = self.edns and answer.rcode not in _NO_EDNS
            else:
                self.answer, self.answered_by = answer, place
        self._news.set()

    def give_up(self) -> None:
        """End the try at hand."""
        self._news.set()

    def close(self) -> None:
        for transport in self.transports:
            transport.close()


class _Try(asyncio.DatagramProtocol):
    def __init__(self, lookup: _Lookup, number: int, place: _Place) -> None:
        self._lookup = lookup
        self._number = number
        self._place = place

    def datagram_received(self, data: bytes, addr: object) -> None:  # noqa: ARG002 - it is connected
        answer = read_answer(data, self._lookup.question, self._number)
        if answer is not None:
            self._lookup.hear(answer, self._place)

    def error_received(self, exc: Exception) -> None:  # noqa: ARG002 - whichever it is
        self._lookup.give_up()
