import json
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from router.errors import DeviceError
from router.host.machine.changes import Entry, Link, LostError, Namespace, Sysctl
from router.host.machine.journal import Change, Journal
from router.host.machine.nic import MovedNic

ROUTE = Entry(
    "",
    "route",
    {"dst": "0.0.0.0/0", "gateway": "192.0.2.1", "table": 100, "metrics": {"mtu": 1400}},
    "eth2",
)
CHANGES: list[Change] = [
    Namespace("made"),
    Sysctl("", "net/ipv4/conf/eth1/forwarding", "1", "0"),
    Link("made", "wan0", {"mtu": 1400, "state": "up"}, {"mtu": 1500, "state": "down"}),
    ROUTE,
    Entry("made", "rule", {"priority": 0, "table": 255}, present=False),
    MovedNic("", "eth2", "made", 3, True, {"net/ipv4/conf/eth2/rp_filter": "1"}, (ROUTE,)),
]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal"


def noted(path: Path) -> Journal:
    journal = Journal(path)
    for change in CHANGES:
        journal.note(change)
    return journal


def rewrite_origin(path: Path, **fields: str) -> None:
    first, rest = path.read_text().split("\n", 1)
    path.write_text(json.dumps(json.loads(first) | fields) + "\n" + rest)


def test_every_kind_of_change_comes_back_as_it_was_written(path: Path) -> None:
    noted(path)
    assert Journal(path).changes() == CHANGES


def test_no_journal_means_nothing_to_undo(path: Path) -> None:
    assert Journal(path).changes() == []
    assert Journal(path).undo() == []


@pytest.mark.parametrize("left", [0, 1, 20])
def test_a_last_line_cut_short_is_a_change_not_begun(path: Path, left: int) -> None:
    noted(path)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:-1]) + lines[-1][:left])
    assert Journal(path).changes() == CHANGES[:-1]


@pytest.mark.parametrize("content", [b"", b"\n", b'{"boot": "x"', b"\xff\xfe", b"[]\n{}\n"])
def test_a_first_line_cut_short_means_nothing_was_begun(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    assert Journal(path).changes() == []


def test_a_reboot_has_undone_everything(path: Path) -> None:
    noted(path)
    rewrite_origin(path, boot="another")
    assert Journal(path).changes() == []


def test_a_journal_about_another_namespace_is_refused_and_stays(path: Path) -> None:
    noted(path)
    rewrite_origin(path, home="another")
    with pytest.raises(DeviceError, match=f"^{path} is about another network namespace: "):
        Journal(path).undo()
    assert path.exists()


@pytest.mark.parametrize("key", ["/etc/passwd", "../../etc/passwd", "net/../../../etc/passwd"])
def test_a_setting_outside_of_proc_sys_is_refused(path: Path, key: str) -> None:
    noted(path)
    content = path.read_text()
    for own in ("net/ipv4/conf/eth1/forwarding", "net/ipv4/conf/eth2/rp_filter"):
        path.write_text(content.replace(own, key))
        with pytest.raises(DeviceError, match=rf"^{path}:\d: this is no change of a router's$"):
            Journal(path).undo()


class Unwilling(Namespace):
    """A change the kernel refuses both ways."""

    def apply(self) -> None:
        raise DeviceError("cannot do it")


def test_a_change_is_written_before_it_is_applied(path: Path) -> None:
    with pytest.raises(DeviceError, match="cannot do it"):
        Journal(path).perform(Unwilling("made"))
    assert Journal(path).changes() == [Namespace("made")]


def test_undoing_goes_backwards_past_failures_and_keeps_those(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    undone = []

    def undo(change: Sysctl) -> None:
        undone.append(change.key)
        if change.key == "b":
            raise DeviceError("cannot restore b")

    monkeypatch.setattr(Sysctl, "undo", undo)
    journal = Journal(path)
    for key in "abc":
        journal.note(Sysctl("", key, "1", "0"))
    assert journal.undo() == ["cannot restore b"]
    assert undone == ["c", "b", "a"]
    assert Journal(path).changes() == [Sysctl("", "b", "1", "0")]
    monkeypatch.setattr(Sysctl, "undo", lambda _: None)
    assert Journal(path).undo() == []
    assert list(path.parent.iterdir()) == []


@pytest.mark.parametrize(
    ("trouble", "kept"), [(DeviceError, [CHANGES[0], CHANGES[-1]]), (LostError, [])]
)
def test_a_namespace_stays_while_a_device_cannot_leave_it(
    path: Path,
    monkeypatch: pytest.MonkeyPatch,
    trouble: type[DeviceError],
    kept: list[Change],
) -> None:
    deleted: list[str] = []

    def undo(_: MovedNic) -> None:
        raise trouble("eth2 stays")

    def delete(namespace: Namespace) -> None:
        deleted.append(namespace.netns)

    monkeypatch.setattr(MovedNic, "undo", undo)
    monkeypatch.setattr(Namespace, "undo", delete)
    journal = Journal(path)
    for change in (CHANGES[0], CHANGES[-1]):
        journal.note(change)
    assert journal.undo() == ["eth2 stays"]
    assert Journal(path).changes() == kept
    assert bool(deleted) is not bool(kept)


def test_a_journal_that_cannot_be_written_stops_before_the_change(tmp_path: Path) -> None:
    path = tmp_path / "missing" / "journal"
    with pytest.raises(DeviceError, match=f"^cannot write {path}: No such file or directory$"):
        Journal(path).perform(Unwilling("made"))


@contextmanager
def a_disk_with_room_for(size: int) -> Iterator[None]:
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))


def test_a_full_disk_leaves_no_half_line_for_the_next_one_to_join(path: Path) -> None:
    journal = noted(path)
    with (
        a_disk_with_room_for(path.stat().st_size + 10),
        pytest.raises(DeviceError, match=f"^cannot write {path}: No space left on device$"),
    ):
        journal.note(CHANGES[0])
    journal.note(CHANGES[1])
    assert journal.changes() == [*CHANGES, CHANGES[1]]


class TestGroups:
    @pytest.fixture
    def undone(self, monkeypatch: pytest.MonkeyPatch) -> list[str]:
        undone: list[str] = []

        def undo(change: Sysctl) -> None:
            undone.append(change.key)
            if change.key.startswith("bad"):
                raise DeviceError(f"cannot restore {change.key}")

        monkeypatch.setattr(Sysctl, "undo", undo)
        return undone

    def noted(self, path: Path, *keys_and_groups: tuple[str, str]) -> Journal:
        journal = Journal(path)
        for key, group in keys_and_groups:
            journal.note(Sysctl("", key, "1", "0"), group)
        return journal

    def keys(self, path: Path) -> list[str]:
        return [change.key for change in Journal(path).changes() if isinstance(change, Sysctl)]

    def test_one_is_undone_backwards_and_the_others_stay(
        self, path: Path, undone: list[str]
    ) -> None:
        order = [("a", ""), ("b", "isp"), ("c", "backup"), ("d", "isp")]
        journal = self.noted(path, *order)
        assert journal.undo_group("isp") == []
        assert undone == ["d", "b"]
        assert self.keys(path) == ["a", "c"]
        assert journal.undo() == []
        assert undone == ["d", "b", "c", "a"]

    def test_what_could_not_be_undone_stays_in_its_group(
        self, path: Path, undone: list[str]
    ) -> None:
        journal = self.noted(path, ("a", ""), ("bad", "isp"), ("c", "isp"))
        assert journal.undo_group("isp") == ["cannot restore bad"]
        assert self.keys(path) == ["a", "bad"]
        assert journal.undo_group("isp") == ["cannot restore bad"]
        assert undone == ["c", "bad", "bad"]

    def test_one_that_is_empty_changes_nothing(self, path: Path, undone: list[str]) -> None:
        journal = self.noted(path, ("a", ""), ("b", "backup"))
        assert journal.undo_group("isp") == []
        assert self.keys(path) == ["a", "b"]
        assert undone == []

    def test_without_a_journal_there_is_none(self, path: Path) -> None:
        assert Journal(path).undo_group("isp") == []
        assert not path.exists()

    def test_who_is_killed_before_it_is_forgotten_undoes_it_twice(
        self, path: Path, undone: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        journal = self.noted(path, ("a", ""), ("b", "isp"))
        with monkeypatch.context() as patched:
            patched.setattr(Path, "replace", dies)
            with pytest.raises(KeyboardInterrupt):
                journal.undo_group("isp")
        assert self.keys(path) == ["a", "b"]
        assert Journal(path).undo() == []
        assert undone == ["b", "b", "a"]

    def test_a_change_cut_short_is_not_joined_by_the_next(
        self, path: Path, undone: list[str]
    ) -> None:
        self.noted(path, ("a", ""), ("b", ""))
        path.write_bytes(path.read_bytes()[:-5])
        journal = Journal(path)
        assert journal.undo(spared=lambda _: True) == []
        journal.note(Sysctl("", "c", "1", "0"))
        assert self.keys(path) == ["a", "c"]
        assert undone == []

    def test_what_is_spared_stays_and_is_undone_at_last(
        self, path: Path, undone: list[str]
    ) -> None:
        journal = self.noted(path, ("a", ""), ("keep", ""), ("c", "isp"))
        spared = Sysctl("", "keep", "1", "0")
        assert journal.undo(spared=lambda change: change == spared) == []
        assert self.keys(path) == ["keep"]
        assert journal.undo() == []
        assert undone == ["c", "a", "keep"]
        assert not path.exists()


def dies(*_: object) -> None:
    raise KeyboardInterrupt
