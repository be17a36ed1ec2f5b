import fcntl
import os
from pathlib import Path
from threading import Thread

import pytest

from router.errors import RouterError
from router.lab import process, registry


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(registry, "_ROOT", tmp_path / "labs")
    return tmp_path / "labs"


def test_a_lab_is_found_as_it_was_saved(tmp_path: Path) -> None:
    with registry.locked():
        lab = registry.reserve("one")
        assert registry.find("one") == lab
        lab = lab.with_process(process.start("sleeper", "", ("true",), tmp_path / "log"))
        registry.save(lab)
    assert registry.find("one") == lab
    assert registry.every() == [lab]


def test_labs_are_told_apart_by_name_and_prefix() -> None:
    with registry.locked():
        one, other = registry.reserve("one"), registry.reserve("other")
    assert registry.every() == [one, other]
    assert one.prefix != other.prefix
    assert one.namespace("alice") == f"{one.prefix}-alice" != other.namespace("alice")


def test_a_prefix_in_use_is_not_given_again(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = iter(["aaaa", "aaaa", "bbbb"])
    monkeypatch.setattr("secrets.token_hex", lambda _: next(drawn))
    monkeypatch.setattr("router.host.machine.netns.exists", lambda name: name == "pr-aaaa-wan")
    with registry.locked():
        assert registry.reserve("one").prefix == "pr-bbbb"


def test_a_name_is_taken_once() -> None:
    with registry.locked():
        registry.reserve("one")
        with pytest.raises(RouterError, match="the lab one is up already"):
            registry.reserve("one")


@pytest.mark.parametrize("name", ["", "..", "a/b", "A", "-a", "a" * 33, ".lock"])
def test_a_name_that_is_no_folder_s_name_is_refused(name: str) -> None:
    with registry.locked(), pytest.raises(RouterError, match="is no name for a lab"):
        registry.reserve(name)


def test_a_lab_that_is_not_there_is_one_sentence() -> None:
    with pytest.raises(RouterError, match=r"there is no lab one; .*up --name one"):
        registry.find("one")


def test_a_node_that_is_not_there_is_one_sentence() -> None:
    with registry.locked():
        lab = registry.reserve("one")
    with pytest.raises(RouterError, match="there is no carol in a lab; there are alice"):
        lab.namespace("carol")


def test_forgetting_leaves_nothing_but_the_lock(root: Path) -> None:
    with registry.locked():
        lab = registry.reserve("one")
        (lab.directory / "router").mkdir()
        (lab.directory / "router" / "journal").touch()
        lab.log("router").touch()
        registry.forget(lab)
    assert [entry.name for entry in root.iterdir()] == [".lock"]
    assert registry.every() == []


def test_a_lab_lives_while_its_router_does(tmp_path: Path) -> None:
    with registry.locked():
        lab = registry.reserve("one")
    assert not lab.is_alive
    other = process.start("mail", "", ("sleep", "60"), tmp_path / "log")
    router = process.start("router", "", ("sleep", "60"), tmp_path / "log")
    try:
        assert not lab.with_process(other).is_alive
        lab = lab.with_process(other).with_process(router)
        assert lab.is_alive
        process.stop(router, grace_s=5)
        assert not lab.is_alive
    finally:
        process.stop(other, grace_s=5)
        process.stop(router, grace_s=5)


def test_a_lab_lives_no_longer_than_its_owner(tmp_path: Path) -> None:
    owner = process.start("owner", "", ("sleep", "60"), tmp_path / "log")
    with registry.locked():
        registry.save(registry.reserve("one", owner).with_process(process.current("router")))
    try:
        assert registry.find("one").is_alive
    finally:
        process.stop(owner, grace_s=5)
    assert not registry.find("one").is_alive


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"name": "one", "processes": 3}', "\xff"])
def test_a_damaged_record_is_one_sentence_and_can_be_salvaged(root: Path, text: str) -> None:
    with registry.locked():
        lab = registry.reserve("one")
    record = root / "one" / "lab.json"
    record.write_bytes(text.encode("latin-1"))
    lab.config.write_text(f'netns = "{lab.prefix}-wan"')
    for read in (lambda: registry.find("one"), registry.every):
        with pytest.raises(RouterError, match=f"{record} is damaged; .*lab down --name one"):
            read()
    assert registry.salvage("one") == lab
    lab.config.unlink()
    assert registry.salvage("one").prefix == ""


def test_the_lock_lets_one_in_at_a_time(root: Path) -> None:
    order = []

    def second() -> None:
        with registry.locked():
            order.append("second")

    waiting = Thread(target=second)
    with registry.locked():
        waiting.start()
        descriptor = os.open(root / ".lock", os.O_RDWR)
        with pytest.raises(BlockingIOError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.close(descriptor)
        order.append("first")
    waiting.join()
    assert order == ["first", "second"]


def test_without_the_right_to_make_folders_the_reason_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(RouterError, match="needs root"), registry.locked():
        pass
