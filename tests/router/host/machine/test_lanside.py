"""How packets of the LAN's card come to the router and back, seen from the LAN."""

import json
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from router.host.machine.changes import read_sysctl
from tests.lab.box import Box
from tests.lab.plumbed import Plumbed, listening, plumbed, udp

pytestmark = pytest.mark.net

SERVER = "198.51.100.10"


@pytest.fixture(params=["lenient", "strict"])
def box_of_either_kind(request: pytest.FixtureRequest, box: Box) -> Box:
    if request.param == "strict":
        box.sysctl("net.ipv4.conf.all.rp_filter=1", "net.ipv4.conf.eth1.rp_filter=1")
    return box


@pytest.fixture
def running(box_of_either_kind: Box, tmp_path: Path) -> Iterator[Plumbed]:
    with plumbed(box_of_either_kind, tmp_path / "journal") as running:
        yield running


def route(box: Box, *question: str) -> dict[str, str]:
    """Return what the kernel would do, as `ip route get` says."""
    (answer,) = json.loads(box.ip(box.box, "-j", "route", "get", *question))
    return {key: str(value) for key, value in answer.items()}


def test_a_host_reaches_a_server_outside_and_back(box: Box, running: Plumbed) -> None:
    assert box.pings(box.alice, SERVER)
    assert running.sources("lan0") == {"192.168.1.10"}
    assert running.sources("wan0") == {SERVER}


def test_the_box_reaches_it_too_from_its_lan_address(box: Box, running: Plumbed) -> None:
    assert box.pings(box.box, SERVER)
    assert running.sources("lan0") == {"192.168.1.1"}


def test_the_boxes_own_addresses_stay_local(box: Box, running: Plumbed) -> None:
    assert box.pings(box.alice, "192.168.1.1")
    assert running.seen["lan0"] == []


def test_the_first_hop_answers_with_the_lan_address(box: Box, running: Plumbed) -> None:
    command = ["ip", "netns", "exec", box.alice, "ping", "-c1", "-W1", "-n", "-t1", SERVER]
    shown = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    assert "From 192.168.1.1 icmp_seq=1 Time to live exceeded" in shown
    assert running.seen["lan0"] == []


@pytest.mark.parametrize("source", ["192.168.1.1", "203.0.113.2", "192.168.1.77", SERVER])
def test_the_router_may_send_to_the_lan_from_any_address(
    box: Box, running: Plumbed, source: str
) -> None:
    with listening(box.alice, 4000, socket.SOCK_DGRAM) as service:
        running.put_on_lan(udp(source, "192.168.1.10", 4000, b"hello"))
        assert service.recvfrom(100) == (b"hello", (source, 53))


@pytest.mark.usefixtures("running")
class TestRoutes:
    def test_lan_to_lan_stays_on_the_lan(self, box: Box) -> None:
        answer = route(box, "192.168.1.20", "from", "192.168.1.10", "iif", "eth1")
        assert answer["dev"] == "eth1"
        assert "gateway" not in answer

    @pytest.mark.parametrize("origin", ["eth1", "lan0"])
    def test_a_further_network_is_behind_its_gateway(self, box: Box, origin: str) -> None:
        answer = route(box, "192.168.7.5", "from", "192.168.1.10", "iif", origin)
        assert (answer["dev"], answer["gateway"]) == ("eth1", "192.168.1.254")
        assert route(box, "192.168.7.5")["gateway"] == "192.168.1.254"

    def test_a_host_of_a_further_network_is_served(self, box: Box) -> None:
        answer = route(box, SERVER, "from", "192.168.7.5", "iif", "eth1")
        assert answer["dev"] == "lan0"

    def test_nothing_goes_round_in_circles(self, box: Box) -> None:
        with pytest.raises(AssertionError, match="Invalid argument"):  # the kernel: blackhole
            route(box, SERVER, "from", "192.168.1.10", "iif", "lan0")

    def test_the_boxes_default_route_is_the_router(self, box: Box) -> None:
        answer = route(box, SERVER)
        assert (answer["dev"], answer["prefsrc"]) == ("lan0", "192.168.1.1")
        assert route(box, SERVER, "from", "192.168.1.1")["dev"] == "lan0"


def test_another_card_keeps_its_own_way_out(box: Box, tmp_path: Path) -> None:
    with plumbed(box, tmp_path / "journal", wan_nic=False):
        assert route(box, SERVER, "from", "203.0.113.7")["dev"] == "eth2"
        assert route(box, SERVER)["dev"] == "lan0"
        assert route(box, "203.0.113.1")["dev"] == "eth2"


def test_no_redirect_tells_hosts_of_a_way_around(box: Box, running: Plumbed) -> None:
    command = ["ip", "netns", "exec", box.alice, "ping", "-c1", "-W1", "-n", "192.168.7.5"]
    shown = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    assert "Redirect" not in shown
    assert running.seen["lan0"] == []


@pytest.mark.usefixtures("running")
def test_hosts_cannot_redirect_the_box() -> None:
    assert read_sysctl("", "net/ipv4/conf/all/accept_redirects") == "1"  # the card's counts
    assert read_sysctl("", "net/ipv4/conf/eth1/accept_redirects") == "0"


def test_a_dead_router_is_not_gone_around(box: Box, tmp_path: Path) -> None:
    # The machine forwards of itself and has a way out: without rules alice would take it.
    box.sysctl("net.ipv4.ip_forward=1")
    box.ip(box.outside, "route", "replace", "192.168.1.0/24", "via", "203.0.113.7")
    assert box.pings(box.alice, SERVER)
    with plumbed(box, tmp_path / "journal", wan_nic=False) as running:
        assert not box.pings(box.alice, SERVER)
        assert running.sources("lan0") == {"192.168.1.10"}
        running.die()
        command = ["ip", "netns", "exec", box.alice, "ping", "-c1", "-W1", "-n", SERVER]
        shown = subprocess.run(command, capture_output=True, text=True, check=False).stdout
        assert "From 192.168.1.1 icmp_seq=1 Destination Net Unreachable" in shown
    assert box.pings(box.alice, SERVER)
