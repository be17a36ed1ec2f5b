"""PPPoE: a line that is a session with an access concentrator on an Ethernet (RFC 2516).

Theory of operation. Two packet sockets on the card: one for discovery, read for as long as the line
is connected, and one for the frames of the session, read from `begin` on. The second is bound
before the first question goes out, so that the concentrator's first frame waits there, however
early it comes.

* The kernel passes on what is for the card's own address. Frames of another session, or from
  another address, are strays: of a predecessor that was killed, or of a session that was confirmed
  when we had given up. The concentrator is told that there is no such session (PADT), for the first
  few of each connection; then the filter is narrowed to our own session, so that a neighbour who
  floods us wakes nobody. Strays of a dial that failed are answered when it is disconnected. None
  is answered while another line of this process uses the card, as it may be that line's.
* Frames that the card's queue has no room for wait here, in order, and the line is congested until
  they are gone.
* The line is lost when the concentrator ends the session, and when the card goes down or away. A
  cable that is pulled is not noticed here: a session outlives that, and PPP's echo knows when it
  does not.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import ClassVar

from router.devices import Rng
from router.errors import DeviceError
from router.host.lines.backend import DialError
from router.host.ppp.packetsocket import ETHERNET_HEADER, PacketSocket
from router.host.ppp.sendqueue import SendQueue
from router.ppp.discovery import SILENT, Discovery, DiscoveryConfig, State
from router.wire.hdlc import Framing
from router.wire.malformed import Malformed
from router.wire.pppoe import (
    ETHERTYPE_DISCOVERY,
    ETHERTYPE_SESSION,
    MAC_LENGTH,
    MRU,
    NO_SESSION,
    OVERHEAD,
    Code,
    Packet,
)

__all__ = ["PppoeLine"]

BURST = 64  # frames read in a row, before somebody else gets a turn
STRAYS = 8  # frames of foreign sessions looked at in one connection
_FLAWS = (Malformed.TRUNCATED, Malformed.PPPOE_VERSION, Malformed.PPPOE_LENGTH)
_SOURCE = slice(MAC_LENGTH, 2 * MAC_LENGTH)
_SESSION_END = 4  # octets of the header up to the session's number


class PppoeLine:
    """Implements `router.host.ppp.line.DialledLine`; the card is up and stays as it is.

    Bad are those frames of a session that hold no packet of one.
    """

    mru = MRU
    is_async = False

    def __init__(
        self, device: str, *, netns: str, rng: Rng, config: DiscoveryConfig | None = None
    ) -> None:
        self._malformed: Counter[Malformed] = Counter()
        self._netns = netns
        self._device = device
        self._rng = rng
        self._config = config or DiscoveryConfig()
        self._connection: _Connection | None = None

    async def connect(self) -> None:
        """Find an access concentrator and have a session with it."""
        host = Discovery(self._config, rng=self._rng)
        try:
            self._connection = _Connection(self._netns, self._device, host, self._malformed)
        except DeviceError as error:
            raise DialError(str(error)) from None
        await self._connection.establish()

    def begin(
        self,
        receive: Callable[[list[bytes]], None],
        lost: Callable[[str], None],
        ready: Callable[[], None],
    ) -> None:
        """Let frames flow."""
        assert self._connection is not None
        self._connection.begin(receive, lost, ready)

    def send(self, frames: Iterable[bytes]) -> None:
        """Send frames."""
        if self._connection is not None:
            self._connection.send(frames)

    @property
    def is_congested(self) -> bool:
        """Whether the card's queue has no room for what was given to `send`."""
        return self._connection is not None and self._connection.is_congested

    def set_framing(self, framing: Framing) -> None:
        """Do nothing: frames are not escaped here."""

    @property
    def carrier(self) -> str:
        """The session, by its number."""
        return "" if self._connection is None else self._connection.carrier

    @property
    def bad_frames(self) -> Mapping[str, int]:
        """How many frames were malformed, by what was wrong."""
        return {_name(flaw): self._malformed[flaw] for flaw in _FLAWS}

    async def disconnect(self) -> None:
        """End the session."""
        if self._connection is not None:
            self._connection.end()
            self._connection = None


class _Connection:
    """One connection, from the first question to the last word."""

    _users: ClassVar[Counter[tuple[str, str]]] = Counter()  # connections by namespace and card

    def __init__(
        self, netns: str, device: str, host: Discovery, malformed: Counter[Malformed]
    ) -> None:
        self._card = (netns, device)
        self._host = host
        self._malformed = malformed
        self._loop = asyncio.get_running_loop()
        self._found: asyncio.Future[None] = self._loop.create_future()
        self._timer: asyncio.TimerHandle | None = None
        self._receive: Callable[[list[bytes]], None] | None = None
        self._lost: Callable[[str], None] | None = None
        self._ready: Callable[[], None] | None = None
        self._why = ""  # it is lost
        self._strays = 0
        self._discovery = PacketSocket(netns, device, ETHERTYPE_DISCOVERY)
        try:
            self._session = PacketSocket(netns, device, ETHERTYPE_SESSION)
        except BaseException:
            self._discovery.close()
            raise
        self._queue = SendQueue(self._session, self._go_on)
        self._users[self._card] += 1

    @property
    def is_congested(self) -> bool:
        """Whether frames wait."""
        return self._queue.is_congested

    @property
    def carrier(self) -> str:
        """The session, by its number; "" where there is none."""
        is_open = self._host.state is State.OPEN
        return f"PPPoE session {self._host.session}" if is_open else ""

    async def establish(self) -> None:
        """Have a session; raises DialError."""
        if self._discovery.mtu() < MRU + OVERHEAD:
            raise DialError(f"the MTU of {self._card[1]} is below {MRU + OVERHEAD}")
        self._loop.add_reader(self._discovery, self._hear)
        self._host.start(self._loop.time())
        self._follow()
        await self._found

    def begin(
        self,
        receive: Callable[[list[bytes]], None],
        lost: Callable[[str], None],
        ready: Callable[[], None],
    ) -> None:
        """Let frames flow, or say that it is lost already."""
        self._receive, self._lost, self._ready = receive, lost, ready
        if self._why:
            self._loop.call_soon(self._tell)
        else:
            self._loop.add_reader(self._session, self._read)

    def send(self, frames: Iterable[bytes]) -> None:
        """Send frames in the session."""
        if not self._why:
            session = self._host.session
            to, kind = self._host.concentrator, ETHERTYPE_SESSION
            self._queue.send(
                self._frame(to, kind, Packet(Code.SESSION, session, frame).build())
                for frame in frames
            )

    def end(self) -> None:
        """Say good-bye to everybody and let go."""
        self._lost = None
        self._found.cancel()
        self._host.close(self._loop.time())
        self._speak()
        self._read_rest()
        self._stop()
        self._discovery.close()
        self._session.close()
        self._users[self._card] -= 1

    # Discovery

    def _hear(self) -> None:
        now = self._loop.time()
        try:
            for _ in range(BURST):
                frame = self._discovery.receive()
                if frame is None:
                    break
                self._host.receive(frame[_SOURCE], frame[ETHERNET_HEADER:], now)
        except DeviceError as error:
            self._fall(str(error))
        else:
            self._follow()

    def _wake(self) -> None:
        self._host.handle_timer(self._loop.time())
        self._follow()

    def _follow(self) -> None:
        """Do what discovery has come to."""
        self._speak()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        deadline = self._host.next_deadline()
        if deadline is not None:
            self._timer = self._loop.call_at(deadline, self._wake)
        if self._host.state is State.CLOSED:
            self._fall(self._reason())
        elif self._host.state is State.OPEN and not self._found.done():
            self._found.set_result(None)

    def _speak(self) -> None:
        for to, packet in self._host.take_packets():
            self._discovery.send(self._frame(to, ETHERTYPE_DISCOVERY, packet))

    def _reason(self) -> str:
        if self._host.why != SILENT:
            return self._host.why
        return self._discovery.trouble() or f"{SILENT} on {self._card[1]}"

    # The session

    def _read(self) -> None:
        frames, trouble = [], ""
        try:
            for _ in range(BURST):
                frame = self._session.receive()
                if frame is None:
                    break
                if (payload := self._payload(frame)) is not None:
                    frames.append(payload)
        except DeviceError as error:
            trouble = str(error)
        if frames and self._receive is not None:
            self._receive(frames)
        if trouble:
            self._fall(trouble)

    def _read_rest(self) -> None:
        """Look at what nobody will read any more: there may be strays."""
        with suppress(DeviceError):
            for _ in range(BURST):
                frame = self._session.receive()
                if frame is None:
                    break
                self._payload(frame)

    def _payload(self, frame: bytes) -> bytes | None:
        """Return what is in a frame of our session; what is not ours is a stray."""
        packet = Packet.parse(frame[ETHERNET_HEADER:])
        if isinstance(packet, Malformed):
            self._malformed[packet] += 1
            self._heed(frame[_SOURCE], NO_SESSION)
        elif packet.code != Code.SESSION:
            self._heed(frame[_SOURCE], NO_SESSION)
        elif (frame[_SOURCE], packet.session) != (self._host.concentrator, self._host.session):
            self._heed(frame[_SOURCE], packet.session)
        else:
            return packet.payload
        return None

    def _heed(self, source: bytes, session: int) -> None:
        """Answer a stray, if it is about a session, and after some of them none any more."""
        if self._strays == STRAYS:
            return
        self._strays += 1
        if session != NO_SESSION and self._users[self._card] == 1:
            ending = Packet(Code.PADT, session, b"").build()
            self._discovery.send(self._frame(source, ETHERTYPE_DISCOVERY, ending))
        if self._strays == STRAYS:
            ours = Packet(Code.SESSION, self._host.session, b"").build()[:_SESSION_END]
            sender = self._session.mac + self._host.concentrator
            self._session.narrow(sender + ETHERTYPE_SESSION.to_bytes(2, "big") + ours)

    def _frame(self, to: bytes, kind: int, packet: bytes) -> bytes:
        return to + self._session.mac + kind.to_bytes(2, "big") + packet

    def _go_on(self) -> None:
        if self._ready is not None:
            self._ready()

    # Its end

    def _fall(self, why: str) -> None:
        if self._why:
            return
        self._why = why
        self._stop()
        if not self._found.done():
            self._found.set_exception(DialError(why))
        else:
            self._tell()

    def _tell(self) -> None:
        """Tell that it is lost, once, whoever is there to hear it."""
        lost, self._lost = self._lost, None
        if lost is not None:
            lost(self._why)

    def _stop(self) -> None:
        self._loop.remove_reader(self._discovery)
        self._loop.remove_reader(self._session)
        self._queue.close()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _name(flaw: Malformed) -> str:
    return flaw.name.lower().replace("_", "-")
