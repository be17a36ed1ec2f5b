"""The lab's provider: a modem for the router to call with, and a PPP server that answers.

`python -m router.lab.isp FILE`. FILE is what there is to know of the provider (`provider`); the
modem is `modem` in its folder, to be opened like a serial port. It runs until SIGTERM; SIGHUP drops
the carrier. What is said with the modem, who has logged in and how calls have ended is written to
standard output, a line each.

Theory of operation. There is one telephone line. A number that is dialled is looked up when the
modems would meet, so that the provider may change its ways meanwhile. A call (`call`) has a session
of its own in the role of the server (`router.host.ppp.engine`), which demands a login and assigns
the next address of the pool; that counts as a rise as soon as packets may go. The next call waits
for the session of the one before, since both have the same device.
"""

import asyncio
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from random import Random, SystemRandom

from router.errors import DeviceError
from router.host.ppp.engine import EndedError, Engine
from router.host.ppp.tun import PacketTun, open_packet_tun
from router.lab import topology
from router.lab.call import Call
from router.lab.provider import MODEM, Provider
from router.lab.subscriber import Subscriber
from router.lab.trunk import Wire
from router.ppp.types import Demand, Opened, SessionConfig
from router.wire.address import format_address, parse_address
from router.wire.malformed import Malformed
from router.wire.ppp import Protocol, split

__all__ = ["Isp", "main"]

_DEVICE = "ppp0"
_PROOFS = {int(protocol): protocol.name for protocol in (Protocol.PAP, Protocol.CHAP)}
_NAME = "lab"  # what the provider calls itself in a challenge


class Isp:
    """Implements `subscriber.Exchange`; made, and called, where the event loop runs."""

    def __init__(self, file: Path, note: Callable[[str, str], None]) -> None:
        self._file = file
        self._note = note
        self._subscriber = Subscriber(file.with_name(MODEM), self, lambda said: note("modem", said))
        self._call: Call | None = None
        self._proof = ""
        self._attempt: asyncio.Task[None] | None = None
        self._session: asyncio.Task[None] | None = None

    # What the modem does

    def dial(self, number: str) -> None:
        """Put a call through, in time."""
        self._attempt = asyncio.create_task(self._put_through(number))

    def hang_up(self) -> None:
        """End the call, or the attempt."""
        if self._attempt is not None:
            self._attempt.cancel()
            self._attempt = None
        if self._call is not None:
            call, self._call = self._call, None
            call.end()

    def room(self) -> int | None:
        """Return how many octets the call takes now, None without one."""
        return None if self._call is None else self._call.room()

    def send(self, data: bytes) -> None:
        """Send octets by the call."""
        if self._call is not None:
            self._call.take(data)

    # What people do

    def drop(self) -> None:
        """Lose the carrier, if there is one."""
        if self._call is not None:
            self._call.drop()

    async def close(self) -> None:
        """End everything."""
        self.drop()
        self.hang_up()
        await self._wait_for_session()
        self._subscriber.close()

    # The telephone line

    async def _put_through(self, number: str) -> None:
        try:
            provider = Provider.load(self._file)
            if provider.dialtone:
                await asyncio.sleep(provider.dial_s)
                await self._wait_for_session()
                provider = Provider.load(self._file)
        except (OSError, ValueError, TypeError) as error:
            self._note("provider", f"{self._file} is not understood: {error}")
            provider = Provider("", 0.0, answers=False)
        self._attempt = None
        self._answer(provider, number)

    def _answer(self, provider: Provider, number: str) -> None:
        if not provider.dialtone:
            self._subscriber.no_dialtone()
        elif provider.busy:
            self._subscriber.busy()
        elif not provider.answers_to(number):
            self._subscriber.no_answer()
        else:
            self._call = call = Call(_wire(provider, 0), _wire(provider, 1), self._subscriber)
            self._subscriber.connected(round(provider.rate))
            self._session = asyncio.create_task(self._serve(call, provider))

    # The server

    async def _serve(self, call: Call, provider: Provider) -> None:
        engine = Engine(
            _session_config(provider),
            call,
            partial(_open_device, provider.netns),
            rng=SystemRandom(),
            tap=self._hear,
        )
        try:
            await engine.connect()
            self._count(await engine.open())
            while True:
                await engine.change()
        except EndedError as error:
            self._note("session", f"over: {error}")
        finally:
            await engine.hang_up()

    def _count(self, opened: Opened) -> None:
        provider = Provider.load(self._file)
        replace(provider, rises=provider.rises + 1).save(self._file)
        address = format_address(opened.peer_address)
        self._note("session", f"{opened.user} has logged in by {self._proof} and is {address}")

    def _hear(self, frame: bytes, came_in: bool) -> None:
        """Find out how callers prove who they are."""
        parts = split(frame)
        if came_in and not isinstance(parts, Malformed) and parts[0] in _PROOFS:
            self._proof = _PROOFS[parts[0]]

    async def _wait_for_session(self) -> None:
        if self._session is not None:
            await asyncio.wait((self._session,))


def _wire(provider: Provider, direction: int) -> Wire:
    """Return one direction of a trunk; its errors are the same when the same rise is repeated."""
    return Wire(
        provider.rate,
        latency_s=provider.latency_s,
        bit_error_rate=provider.bit_error_rate,
        rng=Random(2 * provider.rises + direction),  # noqa: S311
    )


def _session_config(provider: Provider) -> SessionConfig:
    return SessionConfig(
        demand=Demand(provider.users.get, _NAME, provider.allowed_methods),
        address=parse_address(topology.GATEWAY),
        peer_address=parse_address(provider.next_address),
        asks_dns=False,
        dns=(parse_address(topology.CLIENT),),
    )


def _open_device(netns: str, opened: Opened) -> PacketTun:
    device = open_packet_tun(_DEVICE, netns=netns, mtu=opened.mtu)
    try:
        device.point_to(opened.address, opened.peer_address)
    except DeviceError:
        device.close()
        raise
    return device


def _note(what: str, said: str) -> None:
    print(datetime.now(UTC).isoformat(timespec="milliseconds"), what, said, flush=True)


async def main(file: Path) -> None:
    """Be the provider, until the process is ended."""
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    isp = Isp(file, _note)
    loop.add_signal_handler(signal.SIGTERM, ended.set)
    loop.add_signal_handler(signal.SIGHUP, isp.drop)
    await ended.wait()
    await isp.close()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
