"""What dnsmasq is told, and how it is kept running, with a script in its place."""

import asyncio
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from router.errors import DeviceError
from router.host.names import dnsmasq as module
from router.host.names.dnsmasq import Dhcp, Dnsmasq, LanHost, LanNames, configuration, find
from router.wire.address import Network, parse_address

PATIENCE_S = 10.0
HOSTS = (
    LanHost("mail", parse_address("192.168.1.10"), "02:00:00:00:00:10"),
    LanHost("alice", parse_address("192.168.1.11")),
    LanHost("far.away", parse_address("192.168.7.9")),
)
PLAIN = LanNames(parse_address("192.168.1.1"), Network.parse("192.168.1.0/24"), "lan", HOSTS)
DHCP = Dhcp(parse_address("192.168.1.100"), parse_address("192.168.1.199"), 43200.0)
SERVED = LanNames(PLAIN.address, PLAIN.network, "office.example", HOSTS, DHCP)


def lines(names: LanNames) -> list[str]:
    return configuration(names, 4053, Path("/state")).splitlines()


def test_it_serves_the_lan_and_asks_the_gate_and_nobody_else() -> None:
    told = lines(PLAIN)
    assert {
        "listen-address=192.168.1.1", "bind-interfaces", "no-resolv", "no-hosts", "no-poll",
        "server=127.0.0.1#4053", "add-subnet=32", "strip-subnet", "keep-in-foreground",
        "pid-file",
    } <= set(told)  # fmt: skip
    assert [line for line in told if line.startswith("server=")] == ["server=127.0.0.1#4053"]
    assert not [line for line in told if line.startswith(("dhcp", "interface"))]


def test_what_is_local_never_leaves() -> None:
    assert {
        "domain-needed", "bogus-priv", "local=//", "local=/lan/", "local=/local/",
        "local=/home.arpa/", "local=/far.away/", "domain=lan",
    } <= set(lines(PLAIN))  # fmt: skip


def test_hosts_have_names_with_and_without_the_domain() -> None:
    assert [line for line in lines(PLAIN) if line.startswith("host-record=")] == [
        "host-record=mail.lan,mail,192.168.1.10",
        "host-record=alice.lan,alice,192.168.1.11",
        "host-record=far.away.lan,far.away,192.168.7.9",
    ]


def test_addresses_are_given_when_asked_for() -> None:
    told = lines(SERVED)
    assert {
        "dhcp-range=192.168.1.100,192.168.1.199,255.255.255.0,43200",
        "dhcp-option=option:router,192.168.1.1", "dhcp-option=option:dns-server,192.168.1.1",
        "dhcp-leasefile=/state/dhcp.leases", "local=/office.example/",
    } <= set(told)  # fmt: skip
    fixed = [line for line in told if line.startswith("dhcp-host=")]
    assert fixed == ["dhcp-host=02:00:00:00:00:10,192.168.1.10"]


@pytest.mark.net
@pytest.mark.parametrize("names", [PLAIN, SERVED])
def test_the_real_one_understands_it(names: LanNames, tmp_path: Path) -> None:
    path = tmp_path / "dnsmasq.conf"
    path.write_text(configuration(names, 4053, tmp_path))
    done = subprocess.run(
        [find(), "--test", f"--conf-file={path}"], capture_output=True, text=True, check=False
    )
    assert "syntax check OK" in done.stderr


def test_without_the_program_people_are_told_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(module, "SYSTEM_PATH", str(tmp_path))
    with pytest.raises(DeviceError, match=r"install it .*dnsmasq-base"):
        find()


def a_program(folder: Path, body: str) -> str:
    program = folder / "program"
    program.write_text(f"#!/bin/sh\n{body}\n")
    program.chmod(0o755)
    return str(program)


def running(folder: Path, body: str, talk: Callable[[Dnsmasq], Awaitable[None]]) -> None:
    async def run() -> None:
        kept = Dnsmasq(a_program(folder, body), PLAIN, folder, "")
        task = asyncio.create_task(kept.run(4053))
        try:
            await talk(kept)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        assert kept.pid is None

    asyncio.run(run())


async def until(holds: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


def test_it_is_started_with_our_file_and_ends_with_us(tmp_path: Path) -> None:
    said = tmp_path / "said"
    pids: list[int] = []

    async def talk(kept: Dnsmasq) -> None:
        await until(lambda: said.exists() and said.read_text().endswith("\n") and kept.pid)
        assert kept.pid is not None
        pids.append(kept.pid)

    running(tmp_path, f'echo "$@" > {said}; exec sleep 60', talk)
    assert said.read_text() == f"--conf-file={tmp_path}/dnsmasq.conf\n"
    assert "server=127.0.0.1#4053" in (tmp_path / "dnsmasq.conf").read_text()
    assert not Path(f"/proc/{pids[0]}").exists()


def test_when_it_dies_it_is_started_again_after_longer_and_longer_rests(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "RESTART_FIRST_S", 0.01)
    monkeypatch.setattr(module, "RESTART_MAX_S", 0.03)
    starts = tmp_path / "starts"

    async def talk(_: Dnsmasq) -> None:
        await until(lambda: starts.exists() and starts.read_text().count("x") == 4)

    words = "dnsmasq: failed to create listening socket: Address already in use"
    running(tmp_path, f"echo x >> {starts}; echo '{words}' >&2; exit 2", talk)
    rests = [record.args[1] for record in caplog.records if record.levelname == "WARNING"]  # type: ignore[index]
    assert rests[:3] == [0.01, 0.02, 0.03]
    assert "has ended with 2 (failed to create listening socket: Address already" in caplog.text


def test_a_program_that_cannot_be_started_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "RESTART_FIRST_S", 0.01)
    monkeypatch.setattr(module, "start", lambda *_, **__: (_ for _ in ()).throw(OSError("no")))

    async def talk(_: Dnsmasq) -> None:
        await until(lambda: caplog.text.count("cannot be started: no") == 2)

    running(tmp_path, "exit 0", talk)


ROUTER = """
import asyncio, sys
from pathlib import Path
from router.host.names.dnsmasq import Dnsmasq, LanNames
from router.wire.address import Network
folder = Path(sys.argv[1])
kept = Dnsmasq(str(folder / "program"), LanNames(0, Network(0, 24), "lan"), folder, "")
asyncio.run(kept.run(4053))
"""


def test_it_does_not_outlive_a_router_that_is_killed(tmp_path: Path) -> None:
    said = tmp_path / "said"
    a_program(tmp_path, f"echo $$ > {said}; exec sleep 60")
    with subprocess.Popen((sys.executable, "-c", ROUTER, str(tmp_path))) as router:
        asyncio.run(until(lambda: said.exists() and said.read_text()))
        router.kill()
    asyncio.run(until(lambda: not Path(f"/proc/{said.read_text().strip()}").exists()))
