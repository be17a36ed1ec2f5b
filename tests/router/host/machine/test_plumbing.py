"""Plumbing in every mode: what it makes, and that nothing of it remains."""

import itertools
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from router.errors import DeviceError
from router.host.machine import netns
from router.host.machine.journal import Change, Journal
from router.host.machine.plumbing import LanNic, LanSide, Plumbing, WanNic, WanSide
from router.routing import LanRoute
from router.wire.address import Network, parse_address
from tests.lab.box import Box, differences, run

pytestmark = pytest.mark.net

LAN = Network.parse("192.168.1.0/24")
LINE = Network.parse("203.0.113.0/24")
ROUTES = (
    LanRoute(Network.parse("192.168.7.0/24"), parse_address("192.168.1.254")),
    LanRoute(Network.parse("192.168.8.0/24")),
)


def lan_nic(device: str = "eth1", routes: tuple[LanRoute, ...] = ROUTES) -> LanNic:
    return LanNic(device, parse_address("192.168.1.1"), LAN, routes)


def wan_nic(gateway: str | None = "203.0.113.1") -> WanNic:
    return WanNic(
        "eth2",
        parse_address("203.0.113.2"),
        LINE,
        parse_address(gateway) if gateway else None,
        published=(Network.parse("203.0.113.16/30"), Network.parse("198.51.100.8/29")),
    )


Sides = tuple[LanSide, WanSide]
MODES: dict[str, Callable[[Box], Sides]] = {}


def mode(make: Callable[[Box], Sides]) -> Callable[[Box], Sides]:
    MODES[make.__name__.replace("_", " ")] = make
    return make


@mode
def two_tuns_here(_: Box) -> Sides:
    return LanSide("lan0", 1500), WanSide("wan0", 1500, "")


@mode
def two_tuns_and_a_new_namespace(box: Box) -> Sides:
    return LanSide("lan0", 1500), WanSide("wan0", 1400, box.wan)


@mode
def two_tuns_each_in_a_new_namespace(box: Box) -> Sides:
    return LanSide("lan0", 1500, box.extra), WanSide("wan0", 1500, box.wan)


@mode
def two_tuns_in_one_new_namespace(box: Box) -> Sides:
    return LanSide("lan0", 1500, box.wan), WanSide("wan0", 1500, box.wan)


@mode
def two_persistent_tuns(box: Box) -> Sides:
    netns.create(box.wan)
    for name, tun, address in ((box.box, "lan0", "10.1.1.1/24"), (box.wan, "wan0", "10.2.2.2/24")):
        box.ip(name, "tuntap", "add", tun, "mode", "tun")
        box.ip(name, "addr", "add", address, "dev", tun)
    return LanSide("lan0", 1500), WanSide("wan0", 1400, box.wan)


@mode
def lan_nic_and_wan_tun(box: Box) -> Sides:
    return LanSide("lan0", 1500, nic=lan_nic()), WanSide("wan0", 1500, box.wan)


@mode
def lan_tun_and_wan_nic(box: Box) -> Sides:
    return LanSide("lan0", 1500), WanSide("wan0", 1500, box.wan, wan_nic())


@mode
def two_nics(box: Box) -> Sides:
    return LanSide("lan0", 1500, nic=lan_nic()), WanSide("wan0", 1500, box.wan, wan_nic())


@mode
def two_nics_on_a_strict_machine(box: Box) -> Sides:
    box.sysctl("net.ipv4.conf.all.rp_filter=1", "net.ipv4.conf.eth2.rp_filter=2")
    return two_nics(box)


@mode
def two_nics_on_a_machine_that_forwards(box: Box) -> Sides:
    box.sysctl("net.ipv4.ip_forward=1")
    return two_nics(box)


@mode
def two_nics_that_are_down_and_bare(box: Box) -> Sides:
    for device in ("eth1", "eth2"):
        box.ip(box.box, "addr", "flush", "dev", device)
        box.ip(box.box, "link", "set", device, "down")
    return two_nics(box)


@mode
def a_line_without_a_gateway(box: Box) -> Sides:
    return LanSide("lan0", 1500), WanSide("wan0", 1500, box.wan, wan_nic(gateway=None))


@mode
def a_gateway_off_the_link(box: Box) -> Sides:
    return LanSide("lan0", 1500), WanSide("wan0", 1500, box.wan, wan_nic("192.0.2.254"))


@mode
def a_bridge_on_the_lan(box: Box) -> Sides:
    box.ip(box.box, "link", "add", "br0", "type", "bridge")
    box.ip(box.box, "link", "set", "br0", "up")
    box.ip(box.box, "addr", "flush", "dev", "eth1")
    box.ip(box.box, "link", "set", "eth1", "master", "br0")
    return LanSide("lan0", 1500, nic=lan_nic("br0")), WanSide("wan0", 1500, box.wan, wan_nic())


@mode
def a_wan_namespace_somebody_made(box: Box) -> Sides:
    netns.create(box.wan)
    return two_nics(box)


@mode
def a_wan_device_already_in_its_namespace(box: Box) -> Sides:
    netns.create(box.wan)
    box.ip(box.box, "link", "set", "eth2", "netns", box.wan)
    return two_nics(box)


@mode
def a_line_set_up_by_hand(box: Box) -> Sides:
    netns.create(box.wan)
    box.ip(box.box, "link", "set", "eth2", "netns", box.wan)
    box.ip(box.wan, "addr", "add", "203.0.113.2/24", "dev", "eth2")
    box.ip(box.wan, "link", "set", "eth2", "up")
    box.ip(box.wan, "route", "add", "default", "via", "203.0.113.1")
    box.ip(box.wan, "neigh", "add", "proxy", "203.0.113.2", "dev", "eth2")
    box.ip(box.wan, "rule", "add", "pref", "12", "iif", "eth2", "blackhole")
    box.ip(box.box, "rule", "add", "pref", "10000", "iif", "eth1", "lookup", "29298")
    return two_nics(box)


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "journal")


@pytest.mark.parametrize("make", MODES.values(), ids=MODES)
def test_nothing_remains(box: Box, journal: Journal, make: Callable[[Box], Sides]) -> None:
    plumbing = Plumbing(*make(box), journal)
    before = box.state()
    plumbing.apply()
    assert differences(before, box.state())
    assert plumbing.undo() == []
    assert not differences(before, box.state())


@pytest.mark.parametrize("make", MODES.values(), ids=MODES)
def test_nothing_remains_in_a_wan_namespace_that_stays(
    box: Box, journal: Journal, make: Callable[[Box], Sides]
) -> None:
    sides = make(box)
    if not netns.exists(box.wan):
        netns.create(box.wan)

    def state() -> set[str]:
        told = ("rule", "route show table all", "-o addr", "neigh show proxy")
        shown = (box.ip(box.wan, *what.split()) for what in told)
        links = box.ip(box.wan, "-o", "link").replace(",LOWER_UP", "").replace("NO-CARRIER,", "")
        return {line for text in (*shown, links.split(" state ")[0]) for line in text.splitlines()}

    before = state()
    plumbing = Plumbing(*sides, journal)
    plumbing.apply()
    plumbing.undo()
    assert state() == before


def test_it_can_be_done_again_and_again(box: Box, journal: Journal) -> None:
    before = box.state()
    for _ in range(3):
        plumbing = Plumbing(*two_nics(box), journal)
        plumbing.apply()
        plumbing.undo()
    assert not differences(before, box.state())


def test_undoing_nothing_does_nothing(box: Box, journal: Journal) -> None:
    before = box.state()
    assert Plumbing(*two_nics(box), journal).undo() == []
    assert not differences(before, box.state())


class Dying(Journal):
    """The journal of a router that is killed between writing down a change and applying it."""

    def __init__(self, path: Path, lives: int) -> None:
        super().__init__(path)
        self._lives = lives

    def note(self, change: Change) -> None:
        super().note(change)
        if not self._lives:
            raise KeyboardInterrupt
        self._lives -= 1

    def undo(self) -> list[str]:
        return []  # the dead do nothing


@pytest.mark.slow
def test_a_death_at_any_step_is_undone_by_the_next_start(box: Box, tmp_path: Path) -> None:
    sides = two_nics_on_a_strict_machine(box)
    before = box.state()
    path = tmp_path / "journal"
    for step in itertools.count():
        mortal = Plumbing(*sides, Dying(path, step))
        try:
            mortal.apply()
        except KeyboardInterrupt:
            assert Plumbing(*sides, Journal(path)).undo() == []
            assert not differences(before, box.state()), f"died at step {step}"
        else:
            break
    Plumbing(*sides, Journal(path)).undo()
    mortal.undo()  # closes its TUNs
    assert step > 40
    assert not differences(before, box.state())


RUN_AND_DIE = """
import os, signal, sys
from pathlib import Path
from tests.lab.box import Box
from tests.router.host.machine.test_plumbing import *
box = Box()
box.wan = sys.argv[2]
sides = lan_nic_and_wan_tun(box) if sys.argv[3:] else two_nics(box)
Plumbing(*sides, Journal(Path(sys.argv[1]))).apply()
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_real_kill_minus_9_is_undone_by_the_next_start(box: Box, tmp_path: Path) -> None:
    before = box.state()
    path = tmp_path / "journal"
    command = [sys.executable, "-c", RUN_AND_DIE, str(path), box.wan]
    died = subprocess.run(command, check=False, capture_output=True)
    assert died.returncode == -signal.SIGKILL, died.stderr
    assert differences(before, box.state())
    assert Plumbing(*two_nics(box), Journal(path)).undo() == []
    assert not differences(before, box.state())


def test_a_namespace_that_died_with_its_mounts_is_cleaned_up(box: Box, tmp_path: Path) -> None:
    before = box.state()
    path = tmp_path / "journal"
    own_mounts = ["unshare", "--mount", "--propagation", "slave"]
    command = [*own_mounts, sys.executable, "-c", RUN_AND_DIE, str(path), box.wan, "no NIC"]
    died = subprocess.run(command, check=False, capture_output=True)
    assert died.returncode == -signal.SIGKILL, died.stderr
    assert not netns.exists(box.wan)
    assert Path("/run/netns", box.wan).exists()
    assert Plumbing(*two_nics(box), Journal(path)).undo() == []
    assert not Path("/run/netns", box.wan).exists()
    assert not differences(before, box.state())


def test_a_namespace_removed_meanwhile_is_no_problem(box: Box, journal: Journal) -> None:
    plumbing = Plumbing(*lan_nic_and_wan_tun(box), journal)
    before = box.state()
    plumbing.apply()
    run("ip", "netns", "del", box.wan)
    assert plumbing.undo() == []
    assert not differences(before, box.state())


class TestTuns:
    def test_they_carry_the_smaller_mtu(self, box: Box, journal: Journal) -> None:
        box.ip(box.box, "link", "set", "eth2", "mtu", "1400")
        lan = LanSide("lan0", 1480, nic=lan_nic())
        plumbing = Plumbing(lan, WanSide("wan0", 1500, box.wan, wan_nic()), journal)
        lan_tun, wan_tun = plumbing.apply()
        assert (lan_tun.mtu, wan_tun.mtu) == (1480, 1400)
        assert "mtu 1480" in box.ip(box.box, "link", "show", "lan0")
        assert "mtu 1400" in box.ip(box.wan, "link", "show", "wan0")
        plumbing.undo()

    def test_persistent_ones_are_sized_for_the_run(self, box: Box, journal: Journal) -> None:
        sides = two_persistent_tuns(box)
        before = box.state()
        plumbing = Plumbing(*sides, journal)
        _, wan_tun = plumbing.apply()
        assert wan_tun.mtu == 1400
        shown = box.ip(box.wan, "addr", "show", "wan0")
        assert "mtu 1400" in shown
        assert "UP" in shown
        assert "10.2.2.2/24" in shown
        plumbing.undo()
        assert not differences(before, box.state())
        assert "mtu 1500" in box.ip(box.wan, "link", "show", "wan0")


class TestRefusals:
    """Each is one sentence, and then everything is as it was."""

    def refused(self, box: Box, journal: Journal, *sides: LanSide | WanSide) -> str:
        before = box.state()
        lan, wan = sides
        assert isinstance(lan, LanSide)
        assert isinstance(wan, WanSide)
        with pytest.raises(DeviceError) as caught:
            Plumbing(lan, wan, journal).apply()
        assert not differences(before, box.state())
        assert journal.changes() == []
        return str(caught.value)

    def test_no_such_lan_device(self, box: Box, journal: Journal) -> None:
        lan = LanSide("lan0", 1500, nic=lan_nic("eth7"))
        sentence = self.refused(box, journal, lan, WanSide("wan0", 1500, box.wan))
        assert sentence == "there is no network device eth7"

    def test_no_such_wan_device(self, box: Box, journal: Journal) -> None:
        nic = WanNic("eth7", parse_address("203.0.113.2"), LINE)
        wan = WanSide("wan0", 1500, box.wan, nic)
        sentence = self.refused(box, journal, LanSide("lan0", 1500), wan)
        assert sentence == "there is no network device eth7"

    def test_no_such_lan_device_in_a_namespace(self, box: Box, journal: Journal) -> None:
        lan = LanSide("lan0", 1500, box.alice, lan_nic("eth7"))
        sentence = self.refused(box, journal, lan, WanSide("wan0", 1500, box.wan))
        assert sentence == f"there is no network device eth7 in namespace {box.alice}"

    def test_the_wan_device_where_the_lan_is(self, box: Box, journal: Journal) -> None:
        for namespace in ("", box.box):
            wan = WanSide("wan0", 1500, namespace, wan_nic())
            sentence = self.refused(box, journal, LanSide("lan0", 1500), wan)
            assert sentence == (
                "network device eth2 needs a network namespace of its own, not one the LAN is in"
            )

    def test_a_tun_in_use(self, box: Box, journal: Journal, tmp_path: Path) -> None:
        first = Plumbing(LanSide("lan0", 1500), WanSide("wan0", 1500, box.wan), journal)
        first.apply()
        second = Journal(tmp_path / "second")
        lan = LanSide("lan1", 1500, nic=lan_nic())
        sentence = self.refused(box, second, lan, WanSide("wan0", 1500, box.wan))
        first.undo()
        assert sentence == (f"TUN device wan0 in namespace {box.wan} is in use by another program")

    def test_late_trouble_is_taken_back_too(self, box: Box, journal: Journal) -> None:
        unreachable = LanRoute(Network.parse("192.168.9.0/24"), parse_address("192.168.99.1"))
        lan = LanSide("lan0", 1500, nic=lan_nic(routes=(unreachable,)))
        sentence = self.refused(box, journal, lan, WanSide("wan0", 1500, box.wan, wan_nic()))
        assert sentence.startswith("cannot add route table 29298 dst 192.168.9.0/24 gateway")
        assert sentence.endswith(": Network is unreachable")

    def test_another_default_route_on_the_line(self, box: Box, journal: Journal) -> None:
        lan, wan = a_line_set_up_by_hand(box)
        box.ip(box.wan, "route", "replace", "default", "via", "203.0.113.9")
        sentence = self.refused(box, journal, lan, wan)
        assert sentence.startswith("cannot add route dst 0.0.0.0/0 gateway 203.0.113.1 on eth2")
        assert sentence.endswith(": File exists")
        assert "default via 203.0.113.9" in box.ip(box.wan, "route")

    @pytest.mark.usefixtures("box")
    def test_not_root(self, tmp_path: Path) -> None:
        program = (
            "import os\nfrom pathlib import Path\n"
            "from router.errors import DeviceError\n"
            "from router.host.machine.journal import Journal\n"
            "from router.host.machine.plumbing import *\nos.setuid(65534)\n"
            f"journal = Journal(Path('{tmp_path}/journal'))\n"
            "for namespace in ('', 'pt-never'):\n"
            "    try:\n"
            "        wan = WanSide('wan0', 1500, namespace)\n"
            "        Plumbing(LanSide('lan0', 1500), wan, journal).apply()\n"
            "    except DeviceError as error:\n        print(error)\n"
        )
        tmp_path.chmod(0o777)
        for parent in tmp_path.parents[:2]:
            parent.chmod(0o755)
        assert run(sys.executable, "-c", program).splitlines() == [
            "cannot open TUN device lan0: this needs root (CAP_NET_ADMIN)",
            "cannot create network namespace pt-never: this needs root",
        ]
