"""An access concentrator with a PPP server behind: `python -m tests.lab.concentrator CARD NETNS`.

It serves one host at a time, asks for a login by CHAP, and assigns an address of the lab's pool to
each session in turn. What becomes of hosts is written to standard output.
"""

import asyncio
import sys
from collections.abc import Callable, Iterable
from functools import partial
from random import SystemRandom

from router.errors import DeviceError
from router.host.ppp.engine import EndedError, Engine
from router.host.ppp.packetsocket import PacketSocket
from router.host.ppp.tun import PacketTun, open_packet_tun
from router.lab import topology
from router.ppp.concentrator import Admitted, Concentrator
from router.ppp.types import Demand, Method, Opened, SessionConfig
from router.wire.address import parse_address
from router.wire.hdlc import Framing
from router.wire.malformed import Malformed
from router.wire.pppoe import ETHERTYPE_DISCOVERY, ETHERTYPE_SESSION, MRU, Code, Packet
from tests.lab.dialup import PASSWORD, USER

NAME = "lab-ac"
_HEADER = 14  # octets of Ethernet


class HostLine:
    """Implements `router.host.ppp.line.Line` for the session of one host."""

    mru = MRU
    is_async = False
    is_congested = False

    def __init__(self, access: "Access", admitted: Admitted) -> None:
        self.session, self.host = admitted.session, admitted.host
        self.lost: Callable[[str], None] = lambda _why: None
        self.receive: Callable[[list[bytes]], None] = lambda _frames: None
        self._access = access

    async def connect(self) -> None: ...

    def begin(
        self,
        receive: Callable[[list[bytes]], None],
        lost: Callable[[str], None],
        _ready: Callable[[], None],
    ) -> None:
        self.receive, self.lost = receive, lost

    def send(self, frames: Iterable[bytes]) -> None:
        for frame in frames:
            self._access.send(self.host, Packet(Code.SESSION, self.session, frame).build())

    def set_framing(self, framing: Framing) -> None: ...

    async def disconnect(self) -> None:
        self._access.end(self)


class Access:
    """The concentrator on its card."""

    def __init__(self, card: str, netns: str) -> None:
        self._netns = netns
        self._concentrator = Concentrator(NAME, rng=SystemRandom(), limit=1)
        self._discovery = PacketSocket(netns, card, ETHERTYPE_DISCOVERY)
        self._discovery.narrow(b"")  # broadcasts as well
        self._session = PacketSocket(netns, card, ETHERTYPE_SESSION)
        self._line: HostLine | None = None
        self._serving: asyncio.Task[None] | None = None
        self._pool = iter(topology.POOL)
        loop = asyncio.get_running_loop()
        loop.add_reader(self._discovery, self._hear)
        loop.add_reader(self._session, self._read)

    def send(self, to: bytes, packet: bytes, kind: int = ETHERTYPE_SESSION) -> None:
        self._session.send(to + self._session.mac + kind.to_bytes(2, "big") + packet)

    def end(self, line: HostLine) -> None:
        self._line = None
        self._concentrator.terminate(line.session)
        self._speak()

    def _hear(self) -> None:
        while (frame := self._discovery.receive()) is not None:
            self._concentrator.receive(frame[6:12], frame[_HEADER:])
        self._speak()

    def _speak(self) -> None:
        for to, packet in self._concentrator.take_packets():
            self.send(to, packet, ETHERTYPE_DISCOVERY)
        for event in self._concentrator.take_events():
            print(event, flush=True)
            if isinstance(event, Admitted):
                self._line = HostLine(self, event)
                self._serving = asyncio.create_task(self._serve(self._line))
            elif self._line is not None:
                self._line.lost(event.why)

    def _read(self) -> None:
        while (frame := self._session.receive()) is not None:
            packet = Packet.parse(frame[_HEADER:])
            if self._line is not None and not isinstance(packet, Malformed):
                self._line.receive([packet.payload])

    async def _serve(self, line: HostLine) -> None:
        config = SessionConfig(
            mru=MRU,
            mtu=MRU,
            is_async=False,
            demand=Demand({USER: PASSWORD}.get, NAME, (Method.CHAP,)),
            address=parse_address(topology.GATEWAY),
            peer_address=parse_address(next(self._pool)),
            asks_dns=False,
            dns=(parse_address(topology.CLIENT),),
        )
        device = partial(_open_device, self._netns)
        engine = Engine(config, line, device, rng=SystemRandom())
        try:
            await engine.connect()
            print(await engine.open(), flush=True)
            while True:
                await engine.change()
        except EndedError as error:
            print(f"over: {error}", flush=True)
        finally:
            await engine.hang_up()


def _open_device(netns: str, opened: Opened) -> PacketTun:
    device = open_packet_tun("ppp0", netns=netns, mtu=opened.mtu)
    try:
        device.point_to(opened.address, opened.peer_address)
    except DeviceError:
        device.close()
        raise
    return device


async def main(card: str, netns: str) -> None:
    """Be the concentrator until the process is ended."""
    access = Access(card, netns)
    print(f"{NAME} on {card}", flush=True)
    await asyncio.Event().wait()
    del access


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
