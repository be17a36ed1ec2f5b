"""A NIC goes to another namespace and comes home as it was."""

import pytest

from router.errors import DeviceError
from router.host.machine.changes import LostError
from router.host.machine.nic import note_nic
from tests.lab.box import Box, differences, run

pytestmark = pytest.mark.net

# What a machine may have on its NIC, beside the addresses and routes the box starts with.
EXTRAS = {
    "as built": "",
    "down": "link set eth2 down",
    "smaller": "link set eth2 mtu 1300",
    "no connected route": "addr add 10.5.0.1/24 dev eth2 noprefixroute",
    "point to point": "addr add 10.6.0.1 peer 10.6.0.2/32 dev eth2",
    "with a broadcast address": "addr add 10.7.0.1/24 brd + dev eth2",
    "onlink gateway": "route add 10.8.0.0/16 via 192.0.2.77 dev eth2 onlink",
    "link scope": "route add 10.9.0.0/16 dev eth2 proto 42",
    "other type of service": "route add 10.10.0.0/16 dev eth2 tos 8",
    "blackhole elsewhere": "route add blackhole 10.11.0.0/16",
}


@pytest.fixture
def target(box: Box) -> str:
    run("ip", "netns", "add", box.extra)
    return box.extra


@pytest.mark.parametrize("extra", EXTRAS)
def test_it_comes_home_as_it_was(box: Box, target: str, extra: str) -> None:
    if EXTRAS[extra]:
        box.ip(box.box, *EXTRAS[extra].split())
    before = box.state()
    move = note_nic("", "eth2", target)
    move.apply()
    assert "eth2" in box.ip(target, "link")
    assert "eth2" not in box.ip(box.box, "link")
    for _ in range(2):
        move.undo()
        assert not differences(before, box.state())


def test_settings_are_its_own_again(box: Box, target: str) -> None:
    box.sysctl("net.ipv4.conf.eth2.rp_filter=2", "net.ipv4.neigh.eth2.proxy_delay=7")
    before = box.state()
    move = note_nic("", "eth2", target)
    move.apply()
    move.undo()
    assert not differences(before, box.state())


def test_ipv6_comes_home_too(box: Box, target: str) -> None:
    box.sysctl("net.ipv6.conf.eth2.accept_dad=0", "net.ipv6.conf.eth2.disable_ipv6=0")
    box.ip(box.box, "addr", "add", "2001:db8::2/64", "dev", "eth2", "nodad")
    box.ip(box.box, "-6", "route", "add", "default", "via", "2001:db8::1", "metric", "9")

    def ipv6() -> set[str]:
        shown = box.ip(box.box, "-6", "route") + box.ip(box.box, "-6", "-o", "addr")
        return {line.strip() for line in shown.splitlines()}

    before = ipv6()
    move = note_nic("", "eth2", target)
    move.apply()
    move.undo()
    assert ipv6() == before


def test_undo_before_the_move_changes_nothing(box: Box, target: str) -> None:
    before = box.state()
    note_nic("", "eth2", target).undo()
    assert not differences(before, box.state())


def test_undo_after_the_nic_has_gone_says_so(box: Box, target: str) -> None:
    move = note_nic("", "eth2", target)
    move.apply()
    box.ip(box.outside, "link", "del", "eth0")  # the other half of the cable, and so both
    after = box.state()
    with pytest.raises(LostError, match=f"^network device eth2 is neither in namespace {target} "):
        move.undo()
    assert not differences(after, box.state())


def test_its_number_may_have_been_taken(box: Box, target: str) -> None:
    move = note_nic("", "eth2", target)
    move.apply()
    box.ip(box.box, "link", "add", "index", str(move.index), "br9", "type", "bridge")
    move.undo()
    assert "203.0.113.7/24" in box.ip(box.box, "addr", "show", "eth2")


def test_a_port_of_a_bridge_is_not_taken(box: Box, target: str) -> None:
    box.ip(box.box, "link", "add", "br0", "type", "bridge")
    box.ip(box.box, "link", "set", "eth2", "master", "br0")
    sentence = "^network device eth2 is a port of another device; free it first$"
    with pytest.raises(DeviceError, match=sentence):
        note_nic("", "eth2", target)


def test_a_device_that_cannot_move_is_one_sentence(box: Box, target: str) -> None:
    box.ip(box.box, "link", "add", "br0", "type", "bridge")
    move = note_nic("", "br0", target)
    with pytest.raises(DeviceError, match=f"^cannot move network device br0 into .* {target}: "):
        move.apply()
