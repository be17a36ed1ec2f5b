"""The gate's sockets on the loopback, before a data plane and name servers that are scripted."""

import asyncio
import socket
from collections.abc import Awaitable, Callable

import pytest

from router.errors import ControlError
from router.host.names import gate as module
from router.host.names.errands import Errands, Key
from router.host.names.gate import Gate
from router.host.names.limits import CONNECTIONS, LONGEST_WAIT_S
from router.host.names.questions import Answer, Question
from router.link.messages import Coming, Ready
from router.reasons import Reason
from router.wire.address import format_address
from tests.router.host.names.messages import ALICE, BOB, ROUTER, WWW, answer, asked, shown

UP = "7 NOERROR QR RD RA | 300 198.51.100.10"
LONG = [f"www.example.test 300 A 192.0.2.{number}" for number in range(200)]


class World:
    """A line that is up or coming, and what a name server says; `asked` has who asked for what."""

    def __init__(self) -> None:
        self.outcome: Ready | Coming | Reason | Exception = Ready("isp")
        self.answer: Answer | Exception | None = answer()
        self.asked: list[str] = []
        self.sought: list[str] = []
        self.now = 0.0
        self.errands = Errands()
        self.gate = Gate(
            self.errands, self.leave, self.lookup, router=ROUTER, clock=lambda: self.now
        )

    async def leave(self, key: Key, since: float | None) -> Ready | Coming | Reason:
        self.asked.append(f"{format_address(key.host)} {key.question.words} {since}")
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome

    async def lookup(self, question: Question, link: str) -> Answer | None:
        self.sought.append(f"{question.words} by {link}")
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


class Client(asyncio.DatagramProtocol):
    def __init__(self, port: int) -> None:
        self._port = port
        self._answers: asyncio.Queue[bytes] = asyncio.Queue()
        self.transport: asyncio.DatagramTransport

    async def open(self) -> "Client":
        loop = asyncio.get_running_loop()
        self.transport, _ = await loop.create_datagram_endpoint(
            lambda: self, remote_addr=("127.0.0.1", self._port)
        )
        return self

    def datagram_received(self, data: bytes, _addr: object) -> None:
        self._answers.put_nowait(data)

    def send(self, wire: bytes) -> None:
        self.transport.sendto(wire)

    async def hear(self, limit_s: float = 5.0) -> bytes:
        return await asyncio.wait_for(self._answers.get(), limit_s)

    async def ask(self, wire: bytes) -> str:
        self.send(wire)
        return shown(await self.hear())

    async def hears_nothing(self) -> bool:
        try:
            await self.hear(0.05)
        except TimeoutError:
            return True
        return False


def running(talk: Callable[[World, Client], Awaitable[None]]) -> World:
    """Have a talk with a gate that is open."""
    world = World()

    async def run() -> None:
        await world.gate.open("")
        client = await Client(world.gate.port).open()
        try:
            await talk(world, client)
        finally:
            client.transport.close()
            await world.gate.close()

    asyncio.run(run())
    return world


async def by_tcp(port: int, *wires: bytes) -> list[bytes]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for wire in wires:
        writer.write(len(wire).to_bytes(2, "big") + wire)
    answers = []
    for _ in wires:
        length = int.from_bytes(await reader.readexactly(2), "big")
        answers.append(await reader.readexactly(length))
    writer.close()
    return answers


def test_a_name_is_asked_for_and_answered_and_known_from_then_on() -> None:
    async def talk(_: World, client: Client) -> None:
        assert await client.ask(asked()) == UP
        assert await client.ask(asked(host=BOB)) == UP

    world = running(talk)
    assert world.asked == [f"{ALICE} {WWW} None"]
    assert world.sought == [f"{WWW} by isp"]


def test_queries_wait_for_a_line_that_is_coming() -> None:
    async def talk(world: World, client: Client) -> None:
        world.outcome = Coming(3.0)
        client.send(asked())
        client.send(asked())
        assert await client.hears_nothing()
        world.gate.changed()
        assert await client.hears_nothing()
        world.outcome = Ready("isp")
        world.gate.changed()
        assert shown(await client.hear()) == UP
        assert await client.hears_nothing()

    world = running(talk)
    assert world.asked == [f"{ALICE} {WWW} {since}" for since in (None, 3.0, 3.0)]


def test_they_do_not_wait_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("router.host.names.errands.LONGEST_WAIT_S", 0.0)

    async def talk(world: World, client: Client) -> None:
        world.outcome = Coming(0.0)
        assert await client.ask(asked()) == "7 SERVFAIL QR RD RA"

    running(talk)
    assert LONGEST_WAIT_S > 0


@pytest.mark.parametrize(
    ("outcome", "rcode"),
    [
        (Reason.HOST_REFUSED, "REFUSED"),
        (Reason.LINE_DENIED, "SERVFAIL"),
        (ControlError("the router is stopping"), "SERVFAIL"),
        (ZeroDivisionError(), "SERVFAIL"),
    ],
)
def test_who_may_not_is_told_at_once(outcome: Reason | Exception, rcode: str) -> None:
    async def talk(world: World, client: Client) -> None:
        world.outcome = outcome
        assert await client.ask(asked()) == f"7 {rcode} QR RD RA"

    running(talk)


@pytest.mark.parametrize("found", [None, ZeroDivisionError()])
def test_name_servers_that_say_nothing(found: Exception | None) -> None:
    async def talk(world: World, client: Client) -> None:
        world.answer = found
        assert await client.ask(asked()) == "7 SERVFAIL QR RD RA"

    running(talk)


def test_noise_is_answered_with_an_error_or_not_at_all() -> None:
    async def talk(_: World, client: Client) -> None:
        client.send(b"noise")
        client.send(asked()[:20])
        assert shown(await client.hear()).split()[1] == "FORMERR"
        assert await client.hears_nothing()
        assert await client.ask(asked()) == UP

    running(talk)


def test_what_is_cut_off_in_a_datagram_is_whole_by_tcp() -> None:
    async def talk(world: World, client: Client) -> None:
        world.answer = answer(WWW, *LONG)
        assert " TC " in f"{await client.ask(asked())} "
        (whole,) = await by_tcp(world.gate.port, asked())
        assert "TC" not in shown(whole)
        assert len(whole) > 3000

    running(talk)


def test_several_queries_on_one_connection() -> None:
    async def talk(world: World, _: Client) -> None:
        answers = await by_tcp(world.gate.port, asked(), asked(number=8), asked(host=BOB, number=9))
        assert sorted(shown(wire)[0] for wire in answers) == ["7", "8", "9"]

    running(talk)


def test_connections_are_bounded_and_the_idle_ones_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CONNECTION_IDLE_S", 0.3)

    async def talk(world: World, _: Client) -> None:
        port = world.gate.port
        idle = [await asyncio.open_connection("127.0.0.1", port) for _ in range(CONNECTIONS)]
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        assert await asyncio.wait_for(reader.read(), 0.2) == b""
        writer.close()
        for reader, writer in idle:
            assert await asyncio.wait_for(reader.read(), 5.0) == b""
            writer.close()
        assert [shown(wire) for wire in await by_tcp(port, asked())] == [UP]

    running(talk)


def test_a_connection_that_has_gone_gets_no_answer() -> None:
    async def talk(world: World, client: Client) -> None:
        world.outcome = Coming(0.0)
        _, writer = await asyncio.open_connection("127.0.0.1", world.gate.port)
        wire = asked()
        writer.write(len(wire).to_bytes(2, "big") + wire)
        await writer.drain()
        while not world.errands.waiting:
            await asyncio.sleep(0.01)
        writer.close()
        await writer.wait_closed()
        world.outcome = Ready("isp")
        world.gate.changed()
        assert await client.ask(asked(number=8)) == UP.replace("7", "8", 1)

    running(talk)


def test_it_listens_on_the_loopback_and_nowhere_else() -> None:
    async def talk(world: World, _: Client) -> None:
        with socket.socket() as other, pytest.raises(ConnectionRefusedError):
            other.connect(("127.0.0.2", world.gate.port))

    running(talk)
