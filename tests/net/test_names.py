"""Names on the LAN over a line that is dialled: real dnsmasq, `dig` on the hosts.

alice may dial, bob may only use the line, mail may do neither. The provider's name server is
198.51.100.20, which the line's commands tell.
"""

import os
import re
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.lab.site import EXTERNAL, OTHER_SERVER, ROUTER, SERVER, Site, a_site, eventually

pytestmark = [pytest.mark.net, pytest.mark.slow]

DIAL_S = 2.0
IDLE = 'idle_timeout = "4s"\n'
HOSTS = """
[[host]]
address = "192.168.1.11"
name = "alice"
[[host]]
address = "192.168.1.12"
mac = "02:00:00:00:00:12"
name = "bob"
dial = "may-use"
[[host]]
address = "192.168.1.10"
name = "mail"
dial = "never"
[lan.dhcp]
from = "192.168.1.100"
to = "192.168.1.199"
lease = "1h"
"""
RECORDS = ("www.example.test", "one.example.test", "two.example.test")

# Asks for a lease as a client does that has no address yet; prints what it is offered and given.
DHCP_CLIENT = """
import sys
from scapy.all import BOOTP, DHCP, IP, UDP, Ether, conf, srp1
conf.verb = conf.checkIPaddr = 0
mac = bytes.fromhex(sys.argv[1].replace(":", ""))
def say(*options):
    frame = (Ether(src=mac, dst="ff:ff:ff:ff:ff:ff") / IP(src="0.0.0.0", dst="255.255.255.255")
        / UDP(sport=68, dport=67) / BOOTP(chaddr=mac, xid=77, flags=0x8000)
        / DHCP(options=[*options, "end"]))
    for _ in range(4):
        answer = srp1(frame, iface="eth0", timeout=4,
            filter="udp port 68", multi=False)
        if answer is not None and DHCP in answer:
            return answer
    raise SystemExit("no answer")
offer = say(("message-type", "discover"))
ack = say(("message-type", "request"), ("requested_addr", offer[BOOTP].yiaddr),
    ("server_id", "192.168.1.1"))
told = dict(each for each in ack[DHCP].options if isinstance(each, tuple) and len(each) == 2)
print(ack[BOOTP].yiaddr, told["message-type"], told["router"], told["name_server"],
    told["lease_time"])
"""


def make(directory: Path, **options: Any) -> Any:
    return a_site(directory, dialled=IDLE, more=HOSTS, **options)


def prepare(site: Site, domain: str = "lan") -> None:
    """Have the LAN's names served, and a name server and pages at the other end."""
    configuration = site.directory / "router.toml"
    served = f'device = "eth1"\ndns = true\ndomain = "{domain}"\n'
    configuration.write_text(configuration.read_text().replace('device = "eth1"\n', served, 1))
    status = site.directory / "status"
    status.write_text(f'{status.read_text()}test -f line && echo "dns {OTHER_SERVER}"\n')
    site.provide(dial_time_s=DIAL_S)
    site.serve_web("internet", SERVER)
    records = [f"--host-record={name},{SERVER}" for name in RECORDS]
    site.serve(
        "internet", "dnsmasq", "-k", "--conf-file=/dev/null", "--no-resolv", "--no-hosts",
        "--bind-interfaces", f"--listen-address={OTHER_SERVER}", "--pid-file=", "--user=root",
        "--local-ttl=300", *records,
        ready=f"{OTHER_SERVER}:53",
    )  # fmt: skip


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A site whose line has been down since the router's start."""
    with make(tmp_path) as site:
        prepare(site)
        site.start()
        eventually(lambda: served(site), "dnsmasq's start")
        yield site


def served(site: Site) -> bool:
    return f"{ROUTER}:53" in site.run("box", "ss", "-Hlnu")


def dig(site: Site, node: str, *what: str, tries: int = 1, limit_s: int = 20) -> tuple[str, str]:
    """The status of an answer, and its first record's data."""
    said = site.ask(
        node, "dig", f"@{ROUTER}", f"+tries={tries}", f"+time={limit_s}", "+nocookie", *what
    )
    status = re.search(r"status: (\w+)", said)
    record = re.search(r"^[^;\s]\S*\s+\d+\s+IN\s+\w+\s+(\S+)$", said, re.MULTILINE)
    return status[1] if status else said, record[1] if record else ""


def state(site: Site) -> str:
    return str(site.line["state"])


def await_state(site: Site, wanted: str, seconds: float = 20.0) -> None:
    eventually(lambda: state(site) == wanted, f"{wanted} (it is {state(site)})", seconds)


def entries(site: Site) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = site.control("ledger")["entries"]
    return found


def test_the_first_name_raises_the_line_and_is_answered_at_the_first_try(site: Site) -> None:
    began = time.monotonic()
    assert dig(site, "alice", "www.example.test") == ("NOERROR", SERVER)
    assert time.monotonic() - began > DIAL_S
    rise = eventually(lambda: [e for e in entries(site) if e["held"]], "an entry")[0]
    assert (rise["by"], rise["cause"], rise["host"]) == ("alice", "traffic", "192.168.1.11")
    assert rise["packet"] == "192.168.1.11 asks for www.example.test A"
    assert rise["waited_s"] > DIAL_S
    assert site.ask("alice", "curl", "-sS", "-m", "20", f"http://{SERVER}/who") == EXTERNAL
    await_state(site, "DORMANT")
    names = site.status()["names"]
    assert (names["queries"], names["failed"], names["waiting"]) == (1, 0, 0)


def test_who_may_only_use_it_fails_at_once_and_is_served_while_it_is_up(site: Site) -> None:
    for node, status in (("bob", "SERVFAIL"), ("mail", "REFUSED")):
        began = time.monotonic()
        assert dig(site, node, "www.example.test")[0] == status
        assert time.monotonic() - began < 1.0
    assert state(site) == "DORMANT"
    dig(site, "alice", "one.example.test")
    assert dig(site, "bob", "www.example.test") == ("NOERROR", SERVER)
    assert dig(site, "mail", "two.example.test")[0] == "REFUSED"


@pytest.mark.parametrize(
    ("what", "status", "data"),
    [
        (("mail",), "NOERROR", "192.168.1.10"),
        (("mail.lan",), "NOERROR", "192.168.1.10"),
        (("mail.lan", "AAAA"), "NOERROR", ""),
        (("nobody.lan",), "NXDOMAIN", ""),
        (("plain", "TXT"), "NXDOMAIN", ""),
        (("printer.local", "SRV"), "NXDOMAIN", ""),
        (("-x", "192.168.1.10"), "NOERROR", "mail.lan."),
        (("-x", "192.168.1.5"), "NXDOMAIN", ""),
        (("-x", "10.9.8.7"), "NXDOMAIN", ""),
        (("_ldap._tcp.dc._msdcs.example.test", "SRV"), "SERVFAIL", ""),
    ],
)
def test_what_is_local_and_what_machines_chatter_about(
    local: Site, what: tuple[str, ...], status: str, data: str
) -> None:
    assert dig(local, "alice", *what) == (status, data)
    assert entries(local) == []


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A site that is asked only what raises no line."""
    with make(tmp_path_factory.mktemp("local")) as site:
        prepare(site)
        site.start()
        eventually(lambda: served(site), "dnsmasq's start")
        yield site


def test_what_is_known_is_answered_while_the_line_is_down(site: Site) -> None:
    dig(site, "alice", "www.example.test")
    await_state(site, "DORMANT")
    began = time.monotonic()
    assert dig(site, "bob", "www.example.test") == ("NOERROR", SERVER)
    assert dig(site, "alice", "www.example.test", "+tcp") == ("NOERROR", SERVER)
    assert time.monotonic() - began < 1.0
    assert state(site) == "DORMANT"
    assert site.status()["names"]["cached"] == 2


def test_over_budget_it_fails_at_once(tmp_path: Path) -> None:
    with a_site(
        tmp_path, dialled=IDLE, more=f"{HOSTS}[budget]\nper_hour = {{ dials = 1 }}\n"
    ) as site:
        prepare(site)
        site.start()
        eventually(lambda: served(site), "dnsmasq's start")
        assert dig(site, "alice", "one.example.test")[0] == "NOERROR"
        await_state(site, "DISABLED")
        began = time.monotonic()
        assert dig(site, "alice", "two.example.test")[0] == "SERVFAIL"
        assert time.monotonic() - began < 1.0


def test_hosts_that_ask_get_an_address(site: Site) -> None:
    client = (sys.executable, "-c", DHCP_CLIENT)
    any_host = site.ask("alice", *client, "02:00:00:00:00:99").split()
    assert 100 <= int(any_host[0].split(".")[3]) <= 199
    assert any_host[1:] == ["5", ROUTER, ROUTER, "3600"]
    assert site.ask("alice", *client, "02:00:00:00:00:12").split()[0] == "192.168.1.12"
    assert "02:00:00:00:00:99" in (site.directory / "state" / "dhcp.leases").read_text()


def test_dnsmasq_lives_as_long_as_the_router(site: Site) -> None:
    first = site.status()["names"]["pid"]
    os.kill(first, signal.SIGKILL)
    second = eventually(
        lambda: (pid := site.status()["names"]["pid"]) not in (first, None) and pid, "a restart"
    )
    eventually(lambda: dig(site, "alice", "mail.lan", limit_s=1)[0] == "NOERROR", "an answer")
    site.end(signal.SIGKILL)
    eventually(lambda: not Path(f"/proc/{second}").exists(), "the end of the second one")
    site.start()
    third = eventually(lambda: site.status()["names"]["pid"], "a third one")
    eventually(lambda: dig(site, "alice", "mail.lan", limit_s=1)[0] == "NOERROR", "an answer")
    assert site.end() == 0
    assert not Path(f"/proc/{third}").exists()


def test_a_failure_is_forgotten_at_once(site: Site) -> None:
    assert dig(site, "bob", "www.example.test")[0] == "SERVFAIL"
    dig(site, "alice", "one.example.test")
    assert dig(site, "bob", "www.example.test") == ("NOERROR", SERVER)
