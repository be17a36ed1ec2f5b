"""What the line sees of the machine: the router, or nothing."""

import select
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from router.host.machine import netns
from router.host.machine.changes import Sysctl, read_sysctl
from router.host.machine.plumbing import LineAddress, WanLink
from router.wire.address import parse_address
from tests.lab.box import Box
from tests.lab.plumbed import (
    Plumbed,
    a_line,
    answers,
    listening,
    plumbed,
    udp,
    with_lines,
)

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


def test_a_line_that_has_fallen_is_silent(box: Box, running: Plumbed) -> None:
    assert resolves(box, LINE)
    running.drop_line()
    assert not resolves(box, LINE)
    shown = box.ip(box.wan, "-o", "link", "show", "eth2")
    card = shown.split("link/ether ")[1].split()[0]
    box.ip(box.outside, "neigh", "replace", LINE, "dev", "eth0", "lladdr", card)
    heard = len(running.seen["wan0"])
    assert not box.pings(box.outside, LINE)
    assert len(running.seen["wan0"]) == heard


def test_nothing_leaves_by_a_line_that_has_fallen(box: Box, running: Plumbed) -> None:
    with listening(box.outside, 4000, socket.SOCK_DGRAM) as service:
        running.drop_line()
        for source in (LINE, "203.0.113.17"):
            running.put_on_wan(udp(source, "203.0.113.1", 4000, b"down"))
        running.raise_line(a_line())
        running.put_on_wan(udp(LINE, "203.0.113.1", 4000, b"up"))
        assert service.recv(100) == b"up"


def test_with_another_address_the_line_answers_for_that_one(box: Box, running: Plumbed) -> None:
    running.raise_line(a_line("203.0.113.77"))
    assert resolves(box, "203.0.113.77")
    assert not resolves(box, LINE)
    box.pings(box.outside, "203.0.113.77")
    assert "203.0.113.77" in running.destinations("wan0")


SECOND = LineAddress(parse_address("192.0.2.2"), 24, 1500, parse_address("192.0.2.1"))


@pytest.fixture
def two_lines(box: Box, tmp_path: Path) -> Iterator[Plumbed]:
    cable = ["link", "add", "eth3", "type", "veth", "peer", "name", "eth1", "netns", box.outside]
    box.ip(box.box, *cable)
    box.ip(box.outside, "addr", "add", "192.0.2.1/24", "dev", "eth1")
    box.ip(box.outside, "link", "set", "eth1", "up")
    links = WanLink("isp", "eth2"), WanLink("backup", "eth3")
    with with_lines(box, tmp_path / "journal", *links) as running:
        yield running


class TestTwoLines:
    """Both end outside: eth0 is the line of `isp`, eth1 that of `backup`."""

    def ways(self, box: Box, running: Plumbed, *sources: str) -> list[str]:
        """Return by which line packets from each source leave, "" for none."""
        found = []
        with (
            listening(box.outside, 4000, socket.SOCK_DGRAM, "eth0") as by_isp,
            listening(box.outside, 4000, socket.SOCK_DGRAM, "eth1") as by_backup,
        ):
            for source in sources:
                running.put_on_wan(udp(source, "198.51.100.10", 4000, b"hello"))
                ready, _, _ = select.select([by_isp, by_backup], [], [], 0.3)
                found.append(" ".join("isp" if each is by_isp else "backup" for each in ready))
                for service in ready:
                    service.recv(100)
        return found

    def test_each_carries_what_is_from_its_address(self, box: Box, two_lines: Plumbed) -> None:
        two_lines.raise_line(SECOND, "backup")
        two_lines.raise_line(a_line(), "isp")
        assert self.ways(box, two_lines, LINE, "192.0.2.2", LINE) == ["isp", "backup", "isp"]

    @pytest.mark.parametrize("filtering", [0, 1, 2])
    def test_each_is_heard(self, box: Box, two_lines: Plumbed, filtering: int) -> None:
        Sysctl(box.wan, "net/ipv4/conf/all/rp_filter", str(filtering), "0").apply()
        two_lines.raise_line(SECOND, "backup")
        two_lines.raise_line(a_line(), "isp")
        for address in (LINE, "192.0.2.2"):
            box.pings(box.outside, address, "-I", "198.51.100.10")
            assert address in two_lines.destinations("wan0")

    def test_the_preferred_one_that_is_up_carries_the_rest(
        self, box: Box, two_lines: Plumbed
    ) -> None:
        published = "203.0.113.17"
        assert self.ways(box, two_lines, published) == [""]
        two_lines.raise_line(SECOND, "backup")
        assert self.ways(box, two_lines, published) == ["backup"]
        two_lines.raise_line(a_line(), "isp")
        assert self.ways(box, two_lines, published) == ["isp"]
        two_lines.drop_line("isp")
        assert self.ways(box, two_lines, published, LINE) == ["backup", "backup"]
        two_lines.drop_line("backup")
        assert self.ways(box, two_lines, published, LINE, "192.0.2.2") == ["", "", ""]

    def test_two_with_one_address_do_not_meet(self, box: Box, two_lines: Plumbed) -> None:
        same = LineAddress(parse_address(LINE), 24, 1500, parse_address("203.0.113.1"))
        two_lines.raise_line(a_line(), "isp")
        two_lines.raise_line(same, "backup")
        assert self.ways(box, two_lines, LINE) == ["isp"]
        two_lines.drop_line("backup")
        assert self.ways(box, two_lines, LINE) == ["isp"]
