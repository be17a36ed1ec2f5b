import logging
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from router.errors import DeviceError
from router.host.ledger import database
from router.host.ledger.database import MIGRATIONS, open_database
from router.host.ledger.store import Store
from tests.router.host.ledger.conftest import BOOT, entry


def pragma(path: Path, name: str) -> object:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(f"PRAGMA {name}").fetchone()[0]


def filled(path: Path, entries: int = 200) -> None:
    store = Store(path, BOOT)
    store.write([entry(attempt=number, why="x" * 100) for number in range(entries)], synced=True)
    store.close()


def test_a_new_file_has_a_log_and_the_version_of_this_program(path: Path) -> None:
    Store(path, BOOT).close()
    assert pragma(path, "journal_mode") == "wal"
    assert pragma(path, "user_version") == len(MIGRATIONS)


def test_each_start_of_the_router_is_a_run_of_its_own(path: Path) -> None:
    runs = []
    for _ in range(3):
        store = Store(path, BOOT)
        store.write([entry(run=store.run)], synced=True)
        runs.append(store.run)
        store.close()
    assert runs == [1, 2, 3]


def test_an_older_file_is_brought_up_to_date_with_what_is_in_it(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled(path)
    later = (*MIGRATIONS, "ALTER TABLE rises ADD COLUMN cost REAL NOT NULL DEFAULT 0.5;")
    monkeypatch.setattr(database, "MIGRATIONS", later)
    connection, _ = open_database(path, BOOT)
    (row,) = connection.execute("SELECT count(*), max(cost) FROM rises")
    connection.close()
    assert tuple(row) == (200, 0.5)
    assert pragma(path, "user_version") == len(later)


def test_a_migration_that_fails_leaves_the_file_as_it_was(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    filled(path)
    broken = (*MIGRATIONS, "CREATE TABLE half (id INTEGER); DROP TABLE absent;")
    monkeypatch.setattr(database, "MIGRATIONS", broken)
    with pytest.raises(sqlite3.Error):  # in memory it cannot go better
        open_database(path, BOOT)
    assert "no such table: absent" in caplog.text
    monkeypatch.undo()
    assert pragma(path, "user_version") == len(MIGRATIONS)
    with closing(sqlite3.connect(path)) as connection:
        tables = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")
        assert ("half",) not in tables.fetchall()
    store = Store(path, BOOT)
    assert len(store.entries(1000)) == 200
    store.close()


def test_the_file_of_a_newer_version_is_refused_and_stays_as_it_is(path: Path) -> None:
    filled(path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(
        DeviceError,
        match=rf"^the dial ledger {path} is of a newer postroad \(version 99, this one knows "
        rf"{len(MIGRATIONS)}\); run that one, or move the file away$",
    ):
        Store(path, BOOT)
    assert pragma(path, "user_version") == 99
    assert [each.name for each in path.parent.iterdir()] == ["ledger.db"]


def overwritten(content: bytes, at: int) -> bytes:
    return content[:at] + b"\xa5" * 4000 + content[at + 4000 :]


DAMAGE = {
    "no database at all": lambda _: b"this is no database" * 1000,
    "a page in the middle": lambda content: overwritten(content, len(content) // 8192 * 4096),
    "the schema": lambda content: overwritten(content, 100),
    "cut short": lambda content: content[: len(content) // 2],
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_file_is_moved_aside_and_a_new_one_begun(
    path: Path, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    filled(path)
    damaged = DAMAGE[kind](path.read_bytes())
    path.write_bytes(damaged)
    store = Store(path, BOOT)
    assert store.entries(1000) == []
    store.write([entry()], synced=True)
    store.close()
    aside = path.with_name("ledger.db.damaged-1")
    assert aside.read_bytes() == damaged
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert record.getMessage().startswith(f"the dial ledger {path} was damaged (")
    assert record.getMessage().endswith(f"): it is now {aside}")
    store = Store(path, BOOT)
    assert len(store.entries(1000)) == 1
    store.close()


def test_every_kind_of_damage_is_known_as_such(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    troubles = [sqlite3.DatabaseError("index corrupted")]
    troubles[0].sqlite_errorcode = sqlite3.SQLITE_CORRUPT_INDEX

    def check(_: sqlite3.Connection) -> None:
        if troubles:
            raise troubles.pop()

    monkeypatch.setattr(database, "_check_pages", check)
    Store(path, BOOT).close()
    assert "was damaged (index corrupted)" in caplog.text
    assert path.exists()


def test_every_damaged_file_is_kept(path: Path) -> None:
    for number in (1, 2, 3):
        path.write_bytes(b"this is no database" * number)
        Store(path, BOOT).close()
        kept = path.with_name(f"ledger.db.damaged-{number}")
        assert kept.read_bytes() == b"this is no database" * number


def test_what_the_system_will_not_open_is_kept_in_memory_and_that_is_said(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path.mkdir()
    store = Store(path, BOOT)
    store.write([entry()], synced=True)
    assert len(store.entries(10)) == 1
    store.close()
    (record,) = caplog.records
    assert record.getMessage() == (
        f"the dial ledger {path} cannot be used (unable to open database file): until the next "
        "start it is kept in memory, and budgets count from now"
    )


def test_damage_that_cannot_be_moved_aside_does_not_stop_the_router(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(30, "Read-only file system")

    path.write_bytes(b"this is no database" * 1000)
    monkeypatch.setattr(Path, "rename", refuse)
    store = Store(path, BOOT)
    store.write([entry()], synced=True)
    assert len(store.entries(10)) == 1
    store.close()
    assert "Read-only file system" in caplog.text
