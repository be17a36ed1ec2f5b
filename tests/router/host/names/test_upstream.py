"""Name servers on the loopback, each with a script, and the router that asks them."""

import asyncio
import random
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import cast

import dns.flags
import pytest

from router.host.names import upstream
from router.host.names.questions import Answer
from router.host.names.upstream import Upstream
from router.wire.address import parse_address
from tests.router.host.names.messages import WWW, parsed, question, told

GOOD, OTHER = parse_address("127.0.0.1"), parse_address("127.0.0.2")
RECORD = "www.example.test 300 A 198.51.100.10"
LONG = [f"www.example.test 300 A 192.0.2.{number}" for number in range(90)]

Script = Callable[[bytes], list[bytes]]  # what is said to a query


def right(wire: bytes) -> list[bytes]:
    return [told(WWW, RECORD, number=parsed(wire).id)]


def failing(rcode: str) -> Script:
    return lambda wire: [told(WWW, number=parsed(wire).id, rcode=rcode)]


def silent(_wire: bytes) -> list[bytes]:
    return []


def forged(wire: bytes) -> list[bytes]:
    """Ids and questions that are not those asked, and only then the answer."""
    number = parsed(wire).id
    lie = "www.example.test 300 A 6.6.6.6"
    return [
        told(WWW, lie, number=number ^ 1),
        told("www.example.tesT AAAA", number=number),
        b"\0",
        *right(wire),
    ]


def without_edns(wire: bytes) -> list[bytes]:
    return right(wire) if parsed(wire).edns < 0 else failing("FORMERR")(wire)


def truncated(wire: bytes) -> list[bytes]:
    (whole,) = right(wire)
    return [whole[:2] + bytes([whole[2] | 0x02]) + whole[3:]]


class Server(asyncio.DatagramProtocol):
    def __init__(self, script: Script) -> None:
        self.script = script
        self.asked: list[bytes] = []
        self.ports: list[int] = []
        self.transport: asyncio.DatagramTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.asked.append(data)
        self.ports.append(addr[1])
        for said in self.script(data):
            self.transport.sendto(said, addr)


@asynccontextmanager
async def serving(port: int, *scripts: Script) -> AsyncIterator[list[Server]]:
    """Servers at 127.0.0.1, 127.0.0.2 and so on."""
    loop = asyncio.get_running_loop()
    servers = []
    for number, script in enumerate(scripts, 1):
        _, server = await loop.create_datagram_endpoint(
            lambda script=script: Server(script),  # type: ignore[misc]
            local_addr=(f"127.0.0.{number}", port),
        )
        servers.append(server)
    try:
        yield servers
    finally:
        for server in servers:
            server.transport.close()


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(upstream, "TRIES_S", (0.1, 0.1, 0.1, 0.1))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def an_upstream(port: int) -> Upstream:
    return Upstream("", GOOD, "lo", random.Random(7), port=port)


def seek(port: int, *scripts: Script, servers: int = 0) -> tuple[Answer | None, list[Server]]:
    async def run() -> tuple[Answer | None, list[Server]]:
        async with serving(port, *scripts) as running:
            addresses = [GOOD + number for number in range(servers or len(scripts))]
            return await an_upstream(port).seek(question(), addresses), running

    return asyncio.run(run())


@pytest.mark.parametrize("kind", [socket.SOCK_DGRAM, socket.SOCK_STREAM])
def test_only_the_device_of_the_router_s_own_packets_is_heard(kind: socket.SocketKind) -> None:
    with an_upstream(53)._socket(kind) as made:
        bound = made.getsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, 16)
    assert bound.rstrip(b"\0") == b"lo"


def address_in(answer: Answer | None) -> str:
    assert answer is not None
    return str(answer.sections[0][0][0])


def test_the_first_server_answers_and_the_second_is_not_asked(port: int) -> None:
    answer, (first, second) = seek(port, right, right)
    assert address_in(answer) == "198.51.100.10"
    assert (len(first.asked), len(second.asked)) == (1, 0)
    message = parsed(first.asked[0])
    assert (message.edns, list(message.options)) == (0, [])


def test_ids_and_ports_are_others_each_time(port: int) -> None:
    _, (first, second) = seek(port, silent, silent)
    asked = first.asked + second.asked
    assert len({parsed(wire).id for wire in asked}) == 4
    assert len(set(first.ports + second.ports)) == 4


@pytest.mark.parametrize(
    ("scripts", "asked"),
    [
        ((silent, right), [1, 1]),
        ((failing("SERVFAIL"), right), [1, 1]),
        ((failing("REFUSED"), right), [1, 1]),
        ((forged,), [1]),
        ((without_edns,), [2]),
    ],
    ids=["silent", "failing", "refusing", "forged", "without EDNS"],
)
def test_what_leads_to_the_answer(port: int, scripts: tuple[Script, ...], asked: list[int]) -> None:
    answer, servers = seek(port, *scripts)
    assert address_in(answer) == "198.51.100.10"
    assert [len(server.asked) for server in servers] == asked


def test_a_server_that_is_not_there_costs_no_time(port: int) -> None:
    async def run() -> float:
        loop = asyncio.get_running_loop()
        began = loop.time()
        assert await an_upstream(port).seek(question(), [GOOD]) is None
        return loop.time() - began

    assert asyncio.run(run()) < 0.3  # of the four tries' 0.4


def test_an_answer_to_an_earlier_try_counts(port: int) -> None:
    async def run() -> Answer | None:
        async with serving(port, silent, silent) as (first, _):
            loop = asyncio.get_running_loop()
            seeking = asyncio.create_task(an_upstream(port).seek(question(), [GOOD, OTHER]))
            await asyncio.sleep(0.15)
            wire, to = first.asked[0], ("127.0.0.1", first.ports[0])
            loop.call_soon(first.transport.sendto, right(wire)[0], to)
            return await seeking

    assert address_in(asyncio.run(run())) == "198.51.100.10"


def test_nobody_answers(port: int) -> None:
    answer, servers = seek(port, silent, silent)
    assert answer is None
    assert [len(server.asked) for server in servers] == [2, 2]


def test_all_fail_and_the_failure_is_told(port: int) -> None:
    answer, _ = seek(port, failing("SERVFAIL"))
    assert answer is not None
    assert answer.rcode == 2


def test_without_servers_there_is_nothing_to_ask(port: int) -> None:
    assert asyncio.run(an_upstream(port).seek(question(), [])) is None


@pytest.mark.parametrize("whole", [True, False])
def test_what_does_not_fit_is_asked_for_by_tcp(port: int, *, whole: bool) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        length = int.from_bytes(await reader.readexactly(2), "big")
        number = parsed(await reader.readexactly(length)).id
        said = told(WWW, *LONG, number=number)
        writer.write(len(said).to_bytes(2, "big") + (said if whole else said[:9]))
        writer.close()

    async def run() -> Answer | None:
        server = await asyncio.start_server(serve, "127.0.0.1", port)
        async with server, serving(port, truncated):
            return await an_upstream(port).seek(question(), [GOOD])

    answer = asyncio.run(run())
    assert answer is not None
    assert bool(answer.flags & dns.flags.TC) is not whole
    assert len(answer.sections[0][0]) == (len(LONG) if whole else 1)
