"""Names without dnsmasq: the gate before scripted lines and a name server on the loopback."""

import asyncio
import random
import socket
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

from router.demand import GRANT_S
from router.host.lines.backend import LineAddress
from router.host.names import upstream
from router.host.names.dnsmasq import Dnsmasq, LanNames
from router.host.names.limits import TCP_TRY_S, TRIES_S
from router.host.names.service import NameService
from router.link.messages import Coming, Ready, StateChange, Warned
from router.link.types import State
from router.reasons import Reason
from router.wire.address import Network, parse_address
from tests.lab.packets import describe, frame
from tests.router.host.names.messages import ALICE, WWW, asked, shown, told
from tests.router.host.names.test_gate import Client
from tests.router.host.names.test_upstream import RECORD, Server, parsed, serving

ROUTER = parse_address("127.0.0.1")
UP = StateChange("isp", State.DIALING, State.UP, "up", "isp", 0.0)


class Lines:
    """Answers as told; `asked` has what was, as text."""

    def __init__(self) -> None:
        self.outcome: Ready | Coming | Reason = Ready("isp")
        self.asked: list[str] = []

    def ask(
        self,
        packet: bytes,
        host: int,
        words: str,
        *,
        may_raise: bool,
        since: float | None,
        now: float,
    ) -> Ready | Coming | Reason:
        assert now == 5.0
        assert host == parse_address(ALICE)
        raises = "" if may_raise else " quietly"
        self.asked.append(f"{describe(frame(packet))} {words}{raises} since {since}")
        return self.outcome


class Plane:
    """A data plane that does jobs at once, at five seconds."""

    def __init__(self) -> None:
        self.lines = Lines()

    def submit(self, job: Callable[[Any, float], Any]) -> "Future[Any]":
        future: Future[Any] = Future()
        future.set_result(job(self, 5.0))
        return future


def serve(
    folder: Path, talk: Callable[[NameService, Client, Lines, list[Server]], Any], *dns: str
) -> None:
    program = folder / "dnsmasq"
    program.write_text("#!/bin/sh\nexec sleep 60\n")
    program.chmod(0o755)
    line = LineAddress(0, 0, 1500, None, tuple(map(parse_address, dns)))

    async def run() -> None:
        plane = Plane()
        names = LanNames(ROUTER, Network.parse("127.0.0.0/8"), "lan")
        kept = Dnsmasq(str(program), names, folder, "")
        service = NameService(
            kept, "", ROUTER, "lo", plane, {"isp": line}.get, random.Random(1)  # type: ignore[arg-type]
        )  # fmt: skip
        await service.open()
        client = await Client(service._gate.port).open()
        try:
            async with serving(service._upstream._port, answers) as servers:
                await talk(service, client, plane.lines, servers)
        finally:
            client.transport.close()
            await service.close()
            service.note([UP])  # the links' last words find nobody

    asyncio.run(run())


def answers(wire: bytes) -> list[bytes]:
    return [told(WWW, RECORD, number=parsed(wire).id)]


@pytest.fixture(autouse=True)
def port(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upstream, "TRIES_S", (0.1, 0.1))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        defaults = {"port": free.getsockname()[1]}
    monkeypatch.setattr(upstream.Upstream.__init__, "__kwdefaults__", defaults)


def test_a_name_is_judged_as_the_packet_to_the_server_that_is_asked(tmp_path: Path) -> None:
    async def talk(service: NameService, client: Client, lines: Lines, _: list[Server]) -> None:
        assert shown(await client_ask(client, asked())).endswith("| 300 198.51.100.10")
        await client_ask(client, asked("_ldap._tcp.example.test SRV"))
        assert lines.asked == [
            f"udp {ALICE}:49152 > 127.0.0.1:53 {ALICE} asks for {WWW} since None",
            f"udp {ALICE}:49152 > 127.0.0.2:53 {ALICE} asks for _ldap._tcp.example.test SRV"
            " quietly since None",
        ]
        assert service.told()["queries"] == 2

    serve(tmp_path, talk, "127.0.0.2", "127.0.0.1")


async def client_ask(client: Client, wire: bytes) -> bytes:
    client.send(wire)
    return await client.hear(15.0)


def test_what_waits_is_asked_for_again_when_a_link_changes(tmp_path: Path) -> None:
    async def talk(service: NameService, client: Client, lines: Lines, _: list[Server]) -> None:
        lines.outcome = Coming(3.0)
        client.send(asked())
        assert await client.hears_nothing()
        assert service.told()["waiting"] == 1
        lines.outcome = Ready("isp")
        service.note([Warned("a budget", 0.0)])
        assert await client.hears_nothing()
        service.note([UP])
        assert shown(await client.hear()).split()[1] == "NOERROR"
        assert lines.asked[1].endswith("since 3.0")

    serve(tmp_path, talk, "127.0.0.1")


def test_a_line_without_name_servers_fails_at_once(tmp_path: Path) -> None:
    async def talk(_: NameService, client: Client, __: Lines, servers: list[Server]) -> None:
        assert shown(await client_ask(client, asked())).split()[1] == "SERVFAIL"
        assert servers[0].asked == []

    serve(tmp_path, talk)


def test_what_is_granted_lasts_for_as_long_as_name_servers_are_asked() -> None:
    assert sum(TRIES_S) + TCP_TRY_S <= GRANT_S
