"""What is seen of a device, set up as people and programs do."""

import pytest

from router.host.machine import netns
from router.host.machine.sight import Sight, see
from router.wire.address import format_address, parse_address
from tests.lab.box import Box

pytestmark = pytest.mark.net


@pytest.fixture
def at_line(box: Box) -> Box:
    netns.create(box.extra)
    box.ip(box.box, "link", "set", "eth2", "netns", box.extra)
    return box


def do(box: Box, *commands: str) -> None:
    for command in commands:
        box.ip(box.extra, *command.split())


def shown(sight: Sight) -> str:
    parts = [f"{format_address(sight.address)}/{sight.prefix}" if sight.address else "no address"]
    if sight.gateway is not None:
        parts.append(f"via {format_address(sight.gateway)}")
    return " ".join(parts)


ADD = "addr add 203.0.113.2/24 dev eth2"
UP = "link set eth2 up"


@pytest.mark.parametrize(
    ("commands", "seen"),
    [
        ([UP], "no address"),
        ([UP, ADD], "203.0.113.2/24"),
        ([UP, ADD, "route add default via 203.0.113.1"], "203.0.113.2/24 via 203.0.113.1"),
        ([UP, ADD, "route add 10.0.0.0/8 via 203.0.113.1"], "203.0.113.2/24"),
        (
            [
                UP,
                ADD,
                "route add default via 203.0.113.9 metric 600",
                "route add default via 203.0.113.1 metric 100",
            ],
            "203.0.113.2/24 via 203.0.113.1",
        ),
        ([UP, ADD, "route add default via 203.0.113.1 table 101"], "203.0.113.2/24"),
        ([UP, ADD, "route add default dev eth2"], "203.0.113.2/24"),
        ([UP, "addr add 169.254.3.4/16 dev eth2 scope link"], "no address"),
        ([UP, "addr add 100.64.0.7 peer 100.64.0.1/32 dev eth2"], "100.64.0.7/32"),
        ([UP, ADD, "addr add 10.0.0.1/8 dev eth2"], "203.0.113.2/24"),
    ],
)
def test_address_and_gateway(at_line: Box, commands: list[str], seen: str) -> None:
    do(at_line, *commands)
    assert shown(see(at_line.extra, "eth2")) == seen


def test_the_address_known_so_far_is_kept_to(at_line: Box) -> None:
    do(at_line, UP, ADD, "addr add 10.0.0.1/8 dev eth2")
    assert shown(see(at_line.extra, "eth2", parse_address("10.0.0.1"))) == "10.0.0.1/8"
    assert shown(see(at_line.extra, "eth2", parse_address("10.9.9.9"))) == "203.0.113.2/24"


def test_the_carrier(at_line: Box) -> None:
    assert not see(at_line.extra, "eth2").has_carrier
    do(at_line, UP)
    assert see(at_line.extra, "eth2").has_carrier
    at_line.ip(at_line.outside, "link", "set", "eth0", "down")
    assert not see(at_line.extra, "eth2").has_carrier


def test_its_kind(at_line: Box) -> None:
    do(at_line, "tuntap add ppp0 mode tun", "link set ppp0 mtu 1400 up")
    card, made = see(at_line.extra, "eth2"), see(at_line.extra, "ppp0")
    assert (card.has_arp, card.mtu) == (True, 1500)
    assert (made.has_arp, made.mtu) == (False, 1400)


def test_one_that_is_not_there(at_line: Box) -> None:
    assert see(at_line.extra, "ppp0") == Sight()
    assert see("pt-never", "ppp0") == Sight()
