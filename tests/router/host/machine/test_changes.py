"""Each kind of change: applied, undone, undone again, undone without having been applied."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from router.errors import DeviceError
from router.host.machine.changes import Entry, Link, Namespace, Sysctl
from router.host.machine.journal import Change, Journal
from tests.lab.box import Box, differences

pytestmark = pytest.mark.net

FORWARDING = "net/ipv4/conf/eth1/forwarding"

MAKE: dict[str, Callable[[Box], Change]] = {
    "namespace": lambda box: Namespace(box.extra),
    "setting": lambda _: Sysctl("", FORWARDING, "1", "0"),
    "link": lambda _: Link("", "eth1", {"mtu": 1300}, {"mtu": 1500}),
    "address": lambda _: Entry("", "addr", {"address": "10.0.0.1", "prefixlen": 24}, "eth1"),
    "route": lambda _: Entry("", "route", {"dst": "10.1.0.0/16", "scope": 253}, "eth1"),
    "rule": lambda _: Entry("", "rule", {"priority": 9, "iifname": "eth1", "table": 77}),
    "refusal": lambda _: Entry("", "rule", {"priority": 9, "action": "blackhole"}),
    "removed rule": lambda _: Entry(
        "", "rule", {"priority": 32767, "table": 253, "protocol": 2}, present=False
    ),
    "proxy": lambda _: Entry("", "neigh", {"dst": "203.0.113.2", "flags": 8}, "eth2"),
}


@pytest.fixture(params=MAKE)
def change(request: pytest.FixtureRequest, box: Box) -> Change:
    return MAKE[request.param](box)


def test_undo_restores_what_apply_changed(box: Box, change: Change) -> None:
    before = box.state()
    change.apply()
    assert differences(before, box.state())
    for _ in range(2):
        change.undo()
        assert not differences(before, box.state())


ENTRIES = {name: make for name, make in MAKE.items() if isinstance(make(Box()), Entry)}


@pytest.mark.parametrize("make", ENTRIES.values(), ids=ENTRIES)
def test_what_is_there_already_is_left_alone(
    box: Box, tmp_path: Path, make: Callable[[Box], Change]
) -> None:
    change = make(box)
    assert isinstance(change, Entry)
    assert not change.is_settled()
    change.apply()
    assert change.is_settled()
    before = box.state()
    journal = Journal(tmp_path / "journal")
    journal.perform(change)
    assert journal.changes() == []
    journal.undo()
    assert not differences(before, box.state())


def test_undo_of_what_was_never_applied_does_nothing(box: Box, change: Change) -> None:
    before = box.state()
    change.undo()
    assert not differences(before, box.state())


def test_it_works_in_a_named_namespace(box: Box) -> None:
    route = Entry(box.alice, "route", {"dst": "10.1.0.0/16", "scope": 253}, "eth0")
    route.apply()
    assert "10.1.0.0/16" in box.ip(box.alice, "route")
    route.undo()
    assert "10.1.0.0/16" not in box.ip(box.alice, "route")


@pytest.mark.parametrize(
    "gone",
    [
        Sysctl("", "net/ipv4/conf/gone0/forwarding", "1", "0"),
        Link("", "gone0", {"mtu": 1300}, {"mtu": 1500}),
        Entry("", "addr", {"address": "10.0.0.1", "prefixlen": 24}, "gone0"),
        Namespace("pt-gone"),
        Sysctl("pt-gone", FORWARDING, "1", "0"),
        Link("pt-gone", "eth1", {"mtu": 1300}, {"mtu": 1500}),
        Entry("pt-gone", "rule", {"priority": 9, "table": 77}),
    ],
    ids=str,
)
def test_nothing_is_left_to_undo_when_its_place_has_gone(box: Box, gone: Change) -> None:
    before = box.state()
    gone.undo()
    assert not differences(before, box.state())


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            Entry("", "route", {"dst": "10.1.0.0/16", "gateway": "10.2.0.1"}, "eth1"),
            "cannot add route dst 10.1.0.0/16 gateway 10.2.0.1 on eth1: Network is unreachable",
        ),
        (
            Entry("", "addr", {"address": "10.0.0.1", "prefixlen": 24}, "gone0"),
            "cannot add addr address 10.0.0.1 prefixlen 24 on gone0: No such device",
        ),
        (
            Entry("", "rule", {"priority": 5, "table": 77}, present=False),
            "cannot remove rule priority 5 table 77: No such file or directory",
        ),
        (
            Sysctl("", "net/ipv4/conf/eth1/mc_forwarding", "1", "0"),
            "cannot set net/ipv4/conf/eth1/mc_forwarding = 1: this needs root",
        ),
        (
            Link("", "eth1", {"mtu": 10}, {"mtu": 1500}),
            "cannot set mtu 10 of eth1: Invalid argument",
        ),
    ],
    ids=str,
)
@pytest.mark.usefixtures("box")
def test_a_refusal_is_one_sentence(change: Change, sentence: str) -> None:
    with pytest.raises(DeviceError) as caught:
        change.apply()
    assert str(caught.value) == sentence


def test_a_namespace_is_not_made_twice(box: Box) -> None:
    sentence = f"^cannot create network namespace {box.alice}: File exists$"
    with pytest.raises(DeviceError, match=sentence):
        Namespace(box.alice).apply()


@pytest.mark.usefixtures("box")
def test_without_root_the_sentence_says_so() -> None:
    program = (
        "import os\nfrom router.errors import DeviceError\n"
        "from router.host.machine.changes import *\n"
        "os.setuid(65534)\n"
        "for change in (Namespace('pt-never'),\n"
        "    Sysctl('', 'net/ipv4/conf/eth1/forwarding', '1', '0'),\n"
        "    Entry('', 'rule', {'priority': 9, 'table': 77})):\n"
        "    try:\n        change.apply()\n    except DeviceError as error:\n        print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == [
        "cannot create network namespace pt-never: this needs root",
        "cannot set net/ipv4/conf/eth1/forwarding = 1: this needs root",
        "cannot add rule priority 9 table 77: this needs root",
    ]
