"""What the line sees of the machine: the router, or nothing."""

import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from router.host.machine import netns
from router.host.machine.changes import Sysctl, read_sysctl
from tests.lab.box import Box
from tests.lab.plumbed import Plumbed, answers, listening, plumbed, udp

pytestmark = pytest.mark.net

LINE = "203.0.113.2"
FORMER = "203.0.113.7"


@pytest.fixture
def running(box: Box, tmp_path: Path) -> Iterator[Plumbed]:
    with plumbed(box, tmp_path / "journal") as running:
        yield running


def resolves(box: Box, address: str) -> bool:
    """Return whether ARP finds the address from outside."""
    box.ip(box.outside, "neigh", "flush", "dev", "eth0")
    box.pings(box.outside, address)
    return "lladdr" in box.ip(box.outside, "neigh", "show", address)


def test_the_kernel_is_silent_and_the_router_sees_all(box: Box, running: Plumbed) -> None:
    assert not box.pings(box.outside, LINE)
    assert answers(box.outside, LINE, 22) == "silence"
    seen = [packet for packet in running.seen["wan0"] if packet[16:20] == socket.inet_aton(LINE)]
    assert {packet[9] for packet in seen} == {socket.IPPROTO_ICMP, socket.IPPROTO_TCP}


def test_the_boxes_services_cannot_be_reached_from_the_line(box: Box, tmp_path: Path) -> None:
    with listening(box.box, 2222, socket.SOCK_STREAM):
        assert answers(box.outside, FORMER, 2222) == "open"
        with plumbed(box, tmp_path / "journal"):
            assert answers(box.outside, LINE, 2222) == "silence"
            assert answers(box.outside, FORMER, 2222) == "silence"
            assert answers(box.alice, "192.168.1.1", 2222) == "open"
        assert answers(box.outside, FORMER, 2222) == "open"


@pytest.mark.usefixtures("running")
@pytest.mark.parametrize(
    ("address", "answered"),
    [(LINE, True), ("203.0.113.17", True), ("203.0.113.9", False), (FORMER, False)],
)
def test_arp_is_answered_for_our_addresses_only(box: Box, address: str, answered: bool) -> None:
    assert resolves(box, address) is answered


@pytest.mark.usefixtures("running")
def test_arp_is_answered_without_a_proxys_delay(box: Box) -> None:
    assert read_sysctl(box.wan, "net/ipv4/neigh/eth2/proxy_delay") == "0"


@pytest.mark.parametrize("filtering", [0, 1, 2])
@pytest.mark.parametrize("source", [LINE, "203.0.113.17", "198.51.100.99"])
def test_the_router_may_send_to_the_line_from_any_address(
    box: Box, tmp_path: Path, filtering: int, source: str
) -> None:
    netns.create(box.wan)
    Sysctl(box.wan, "net/ipv4/conf/all/rp_filter", str(filtering), "0").apply()
    with (
        plumbed(box, tmp_path / "journal") as running,
        listening(box.outside, 4000, socket.SOCK_DGRAM) as service,
    ):
        running.put_on_wan(udp(source, "198.51.100.10", 4000, b"hello"))
        assert service.recvfrom(100) == (b"hello", (source, 53))


@pytest.mark.parametrize("filtering", [0, 1, 2])
def test_the_router_hears_the_line_from_any_address(
    box: Box, tmp_path: Path, filtering: int
) -> None:
    netns.create(box.wan)
    Sysctl(box.wan, "net/ipv4/conf/all/rp_filter", str(filtering), "0").apply()
    box.ip(box.outside, "addr", "add", "10.66.66.66/32", "dev", "lo")
    with plumbed(box, tmp_path / "journal") as running:
        box.pings(box.outside, LINE, "-I", "10.66.66.66")
        assert running.sources("wan0") == {"10.66.66.66"}


def test_a_dead_router_is_silent(box: Box, running: Plumbed) -> None:
    assert resolves(box, LINE)
    running.die()
    assert not box.pings(box.outside, LINE)
    assert answers(box.outside, LINE, 22) == "silence"
    assert not resolves(box, LINE)


def test_time_exceeded_comes_from_the_lines_address(box: Box, running: Plumbed) -> None:
    command = ["ip", "netns", "exec", box.outside, "ping", "-c1", "-W1", "-n", "-t1"]
    shown = subprocess.run(
        [*command, "192.168.1.10"], capture_output=True, text=True, check=False
    ).stdout
    assert f"From {LINE} icmp_seq=1 Time to live exceeded" in shown
    assert running.seen["wan0"] == []


@pytest.mark.usefixtures("running")
def test_the_card_speaks_no_ipv6(box: Box) -> None:
    assert "inet6" not in box.ip(box.wan, "addr")


def test_without_a_gateway_every_host_is_on_the_link(box: Box, tmp_path: Path) -> None:
    with plumbed(box, tmp_path / "journal", gateway=None) as running:
        assert box.pings(box.alice, "198.51.100.10")
        assert running.destinations("lan0") == {"198.51.100.10"}
        assert "198.51.100.10 lladdr" in box.ip(box.wan, "neigh", "show", "dev", "eth2")
