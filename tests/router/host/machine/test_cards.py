"""What plumbing needs of devices: their sizes, cards that come and go, and what it refuses."""

import sys
from pathlib import Path

import pytest

from router.errors import DeviceError
from router.host.machine import netns
from router.host.machine.journal import Journal
from router.host.machine.plumbing import LanSide, Plumbing, WanLink, WanSide
from router.routing import LanRoute
from router.wire.address import Network, parse_address
from tests.lab.box import Box, differences, run
from tests.lab.modes import (
    ISP,
    a_line_set_up_by_hand,
    a_line_whose_device_is_made_when_it_rises,
    bare,
    lan_nic,
    two_persistent_tuns,
    wan_side,
    wan_state,
)
from tests.lab.plumbed import a_line

pytestmark = pytest.mark.net


class TestTuns:
    def test_they_carry_the_smaller_mtu(self, box: Box, journal: Journal) -> None:
        box.ip(box.box, "link", "set", "eth2", "mtu", "1400")
        lan = LanSide("lan0", 1480, nic=lan_nic())
        plumbing = Plumbing(lan, wan_side(box), journal)
        lan_tun, wan_tun = plumbing.apply()
        assert (lan_tun.mtu, wan_tun.mtu) == (1480, 1400)
        assert "mtu 1480" in box.ip(box.box, "link", "show", "lan0")
        assert "mtu 1400" in box.ip(box.wan, "link", "show", "wan0")
        plumbing.undo()

    def test_of_several_lines_the_greatest(self, box: Box, journal: Journal) -> None:
        links = (WanLink("dsl", "eth2", 1492), WanLink("modem", "ppp0", 576, comes_and_goes=True))
        plumbing = Plumbing(LanSide("lan0", 1500), wan_side(box, *links), journal)
        assert plumbing.apply()[1].mtu == 1492
        plumbing.undo()

    def test_persistent_ones_are_sized_for_the_run(self, box: Box, journal: Journal) -> None:
        made = two_persistent_tuns(box)
        before = box.state()
        plumbing = made.plumbing(journal)
        _, wan_tun = plumbing.apply()
        assert wan_tun.mtu == 1400
        shown = box.ip(box.wan, "addr", "show", "wan0")
        assert "mtu 1400" in shown
        assert "UP" in shown
        assert "10.2.2.2/24" in shown
        plumbing.undo()
        assert not differences(before, box.state())
        assert "mtu 1500" in box.ip(box.wan, "link", "show", "wan0")


class TestCards:
    """A card that goes and comes while the router runs, as a USB stick does."""

    LINK = WanLink("isp", "eth2", comes_and_goes=True)

    def unplug(self, box: Box) -> None:
        netns.create(box.extra)
        box.ip(box.box, "link", "set", "eth2", "netns", box.extra)

    def plug_in(self, box: Box) -> None:
        box.ip(box.extra, "link", "set", "eth2", "netns", box.box)

    def test_one_plugged_in_late_is_fetched_and_brought_home(
        self, box: Box, journal: Journal
    ) -> None:
        self.unplug(box)
        self.plug_in(box)
        before = box.state()
        box.ip(box.box, "link", "set", "eth2", "netns", box.extra)
        plumbing = Plumbing(LanSide("lan0", 1500), wan_side(box, self.LINK), journal)
        plumbing.apply()
        plumbing.admit("isp")  # it is not there, and nobody minds
        self.plug_in(box)
        plumbing.admit("isp")
        plumbing.raise_line("isp", a_line())
        assert "203.0.113.2/24" in box.ip(box.wan, "addr", "show", "eth2")
        assert plumbing.drop_line("isp") == []
        assert "eth2" in box.ip(box.wan, "link")  # for the next time
        assert plumbing.undo() == []
        assert not differences(before, box.state())

    def test_a_line_needs_its_device(self, box: Box, journal: Journal) -> None:
        self.unplug(box)
        plumbing = Plumbing(LanSide("lan0", 1500), wan_side(box, self.LINK), journal)
        plumbing.apply()
        before = wan_state(box)
        sentence = f"^there is no network device eth2 in namespace {box.wan}$"
        with pytest.raises(DeviceError, match=sentence):
            plumbing.raise_line("isp", a_line())
        assert wan_state(box) == before
        plumbing.undo()

    def test_a_card_that_must_be_there_is_missed(self, box: Box, journal: Journal) -> None:
        plumbing = Plumbing(LanSide("lan0", 1500), wan_side(box), journal)
        plumbing.apply()
        netns.create(box.extra)
        box.ip(box.wan, "link", "set", "eth2", "netns", box.extra)
        with pytest.raises(DeviceError, match=r"^there is no network device eth2$"):
            plumbing.admit("isp")
        box.ip(box.extra, "link", "set", "eth2", "netns", box.box)
        assert plumbing.undo() == []

    def test_a_device_that_has_gone_leaves_nothing_to_take_back(
        self, box: Box, journal: Journal
    ) -> None:
        made = a_line_whose_device_is_made_when_it_rises(box)
        plumbing = made.plumbing(journal)
        plumbing.apply()
        before, written = wan_state(box), journal.changes()
        made.rise(plumbing)
        made.hung_up()
        assert plumbing.drop_line("backup") == []
        assert wan_state(box) == before
        assert journal.changes() == written
        plumbing.undo()


class TestRefusals:
    """Each is one sentence, and then everything is as it was."""

    def refused(self, box: Box, journal: Journal, lan: LanSide, wan: WanSide) -> str:
        before = box.state()
        with pytest.raises(DeviceError) as caught:
            Plumbing(lan, wan, journal).apply()
        assert not differences(before, box.state())
        assert journal.changes() == []
        return str(caught.value)

    def test_no_such_lan_device(self, box: Box, journal: Journal) -> None:
        lan = LanSide("lan0", 1500, nic=lan_nic("eth7"))
        sentence = self.refused(box, journal, lan, bare(box.wan))
        assert sentence == "there is no network device eth7"

    def test_no_such_wan_device(self, box: Box, journal: Journal) -> None:
        wan = wan_side(box, WanLink("isp", "eth7"))
        sentence = self.refused(box, journal, LanSide("lan0", 1500), wan)
        assert sentence == "there is no network device eth7"

    def test_no_such_lan_device_in_a_namespace(self, box: Box, journal: Journal) -> None:
        lan = LanSide("lan0", 1500, box.alice, lan_nic("eth7"))
        sentence = self.refused(box, journal, lan, bare(box.wan))
        assert sentence == f"there is no network device eth7 in namespace {box.alice}"

    def test_the_wan_device_where_the_lan_is(self, box: Box, journal: Journal) -> None:
        for namespace in ("", box.box):
            wan = WanSide("wan0", namespace, (ISP,))
            sentence = self.refused(box, journal, LanSide("lan0", 1500), wan)
            assert sentence == (
                "network device eth2 needs a network namespace of its own, not one the LAN is in"
            )

    def test_a_line_without_a_device_beside_one_with(self, box: Box, journal: Journal) -> None:
        wan = wan_side(box, ISP, WanLink("spare"))
        sentence = self.refused(box, journal, LanSide("lan0", 1500), wan)
        assert sentence == (
            "link spare has no network device and others have: the TUN is either the only line "
            "or the way to devices"
        )

    def test_a_tun_in_use(self, box: Box, journal: Journal, tmp_path: Path) -> None:
        first = Plumbing(LanSide("lan0", 1500), bare(box.wan), journal)
        first.apply()
        second = Journal(tmp_path / "second")
        lan = LanSide("lan1", 1500, nic=lan_nic())
        sentence = self.refused(box, second, lan, bare(box.wan))
        first.undo()
        assert sentence == (f"TUN device wan0 in namespace {box.wan} is in use by another program")

    def test_late_trouble_is_taken_back_too(self, box: Box, journal: Journal) -> None:
        unreachable = LanRoute(Network.parse("192.168.9.0/24"), parse_address("192.168.99.1"))
        lan = LanSide("lan0", 1500, nic=lan_nic(routes=(unreachable,)))
        sentence = self.refused(box, journal, lan, wan_side(box))
        assert sentence.startswith("cannot add route table 29298 dst 192.168.9.0/24 gateway")
        assert sentence.endswith(": Network is unreachable")

    def test_a_line_that_cannot_be_plumbed(self, box: Box, journal: Journal) -> None:
        made = a_line_set_up_by_hand(box)
        box.ip(box.wan, "route", "add", "default", "via", "203.0.113.9", "table", "101")
        plumbing = made.plumbing(journal)
        plumbing.apply()
        before = wan_state(box)
        with pytest.raises(DeviceError) as caught:
            made.rise(plumbing)
        assert str(caught.value).startswith(
            "cannot add route dst 0.0.0.0/0 gateway 203.0.113.1 prefsrc 203.0.113.2 table 101 on"
        )
        assert str(caught.value).endswith(": File exists")
        assert wan_state(box) == before
        plumbing.undo()

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
            "        wan = WanSide('wan0', namespace, (WanLink('isp'),))\n"
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
