"""Plumbing in every mode: what it makes, and that nothing of it remains."""

import itertools
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from router.host.machine import netns
from router.host.machine.changes import Entry
from router.host.machine.journal import Change, Journal
from tests.lab.box import Box, differences, run
from tests.lab.modes import (
    MODES,
    Mode,
    lan_nic_and_wan_tun,
    two_nics,
    two_nics_on_a_strict_machine,
    wan_state,
)

pytestmark = pytest.mark.net

Make = Callable[[Box], Mode]
ALL = pytest.mark.parametrize("make", MODES.values(), ids=MODES)


@ALL
def test_nothing_remains(box: Box, journal: Journal, make: Make) -> None:
    made = make(box)
    before = box.state()
    plumbing = made.up(journal)
    assert differences(before, box.state())
    assert plumbing.undo() == []
    assert not differences(before, box.state())


@ALL
def test_nothing_remains_in_a_wan_namespace_that_stays(
    box: Box, journal: Journal, make: Make
) -> None:
    made = make(box)
    if not netns.exists(box.wan):
        netns.create(box.wan)
    before = wan_state(box)
    made.up(journal).undo()
    made.hung_up()
    assert wan_state(box) == before


@ALL
def test_a_fallen_line_leaves_nothing(box: Box, journal: Journal, make: Make) -> None:
    made = make(box)
    if not netns.exists(box.wan):
        netns.create(box.wan)
    plumbing = made.plumbing(journal)
    plumbing.apply()
    here, there, written = box.state(), wan_state(box), journal.changes()
    for _ in range(2):
        made.rise(plumbing)
        for name in made.lines:
            assert plumbing.drop_line(name) == []
        made.hung_up()
        assert not differences(here, box.state())
        assert wan_state(box) == there
        assert journal.changes() == written
    plumbing.undo()


def test_it_can_be_done_again_and_again(box: Box, journal: Journal) -> None:
    before = box.state()
    for _ in range(3):
        two_nics(box).up(journal).undo()
    assert not differences(before, box.state())


def test_undoing_nothing_does_nothing(box: Box, journal: Journal) -> None:
    before = box.state()
    assert two_nics(box).plumbing(journal).undo() == []
    assert not differences(before, box.state())


class Dying(Journal):
    """The journal of a router that is killed between writing down a change and applying it."""

    def __init__(self, path: Path, lives: int) -> None:
        super().__init__(path)
        self._lives = lives

    def note(self, change: Change, group: str = "") -> None:
        super().note(change, group)
        if not self._lives:
            raise KeyboardInterrupt
        self._lives -= 1

    def undo(self, spared: Callable[[Change], bool] = lambda _: False) -> list[str]:
        del spared
        return []  # the dead do nothing

    def undo_group(self, group: str) -> list[str]:
        return super().undo_group(group) if self._lives else []


@pytest.mark.slow
def test_a_death_at_any_step_is_undone_by_the_next_start(box: Box, tmp_path: Path) -> None:
    made = two_nics_on_a_strict_machine(box)
    before = box.state()
    path = tmp_path / "journal"
    for step in itertools.count():
        mortal = made.plumbing(Dying(path, step))
        try:
            mortal.apply()
            made.rise(mortal)
        except KeyboardInterrupt:
            over = False
        else:
            over = True
        mortal.undo()  # closes its TUNs
        assert made.plumbing(Journal(path)).undo() == []
        assert not differences(before, box.state()), f"died at step {step}"
        if over:
            break
    assert step > 40


def test_a_death_while_a_line_falls_is_undone_by_the_next_start(
    box: Box, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = two_nics(box)
    before = box.state()
    path = tmp_path / "journal"
    undo = Entry.undo
    for step in itertools.count(1):
        mortal = made.up(Dying(path, 1000))
        lives = itertools.count(step, -1)

        def mortally(entry: Entry, lives: "itertools.count[int]" = lives) -> None:
            if not next(lives):
                raise KeyboardInterrupt
            undo(entry)

        monkeypatch.setattr(Entry, "undo", mortally)
        try:
            mortal.drop_line("isp")
        except KeyboardInterrupt:
            over = False
        else:
            over = True
        monkeypatch.setattr(Entry, "undo", undo)
        mortal.undo()  # closes its TUNs
        assert made.plumbing(Journal(path)).undo() == []
        assert not differences(before, box.state()), f"died at step {step}"
        if over:
            break
    assert step > 5


RUN_AND_DIE = """
import os, signal, sys
from pathlib import Path
from tests.lab.box import Box
from router.host.machine.journal import Journal
from tests.lab.modes import *
box = Box()
box.wan = sys.argv[2]
made = lan_nic_and_wan_tun(box) if sys.argv[3:] else two_nics(box)
made.up(Journal(Path(sys.argv[1])))
os.kill(os.getpid(), signal.SIGKILL)
"""


def run_and_die(box: Box, path: Path) -> None:
    command = [sys.executable, "-c", RUN_AND_DIE, str(path), box.wan]
    died = subprocess.run(command, check=False, capture_output=True)
    assert died.returncode == -signal.SIGKILL, died.stderr


def test_a_real_kill_minus_9_is_undone_by_the_next_start(box: Box, tmp_path: Path) -> None:
    before = box.state()
    run_and_die(box, tmp_path / "journal")
    assert differences(before, box.state())
    assert two_nics(box).plumbing(Journal(tmp_path / "journal")).undo() == []
    assert not differences(before, box.state())


def test_the_next_start_leaves_the_card_where_a_line_may_be_up(box: Box, tmp_path: Path) -> None:
    before = box.state()
    run_and_die(box, tmp_path / "journal")
    box.ip(box.wan, "addr", "add", "10.7.7.7/24", "dev", "eth2")  # a DHCP client's that lives on
    made = two_nics(box)
    plumbing = made.plumbing(Journal(tmp_path / "journal"))
    assert plumbing.recover() == []
    assert "203.0.113.2" not in box.ip(box.wan, "addr")
    plumbing.apply()
    assert "10.7.7.7/24" in box.ip(box.wan, "addr", "show", "eth2")
    made.rise(plumbing)
    assert plumbing.undo() == []
    assert not differences(before, box.state())


def test_a_start_with_other_lines_takes_the_card_home(box: Box, tmp_path: Path) -> None:
    before = box.state()
    run_and_die(box, tmp_path / "journal")
    assert lan_nic_and_wan_tun(box).plumbing(Journal(tmp_path / "journal")).recover() == []
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
    assert two_nics(box).plumbing(Journal(path)).recover() == []
    assert not Path("/run/netns", box.wan).exists()
    assert not differences(before, box.state())


def test_a_namespace_removed_meanwhile_is_no_problem(box: Box, journal: Journal) -> None:
    before = box.state()
    plumbing = lan_nic_and_wan_tun(box).up(journal)
    run("ip", "netns", "del", box.wan)
    assert plumbing.undo() == []
    assert not differences(before, box.state())
