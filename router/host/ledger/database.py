"""The ledger's database file: opened, checked, brought up to date, moved aside when damaged.

Theory of operation. SQLite with a write-ahead log. A commit is in the kernel's hands when it
returns, so a `kill -9` loses nothing, whatever `PRAGMA synchronous` says; that decides about power
cuts only and is up to each write (`router.host.ledger.store`).

The version is `PRAGMA user_version`: how many of `MIGRATIONS` have been applied, each in one
transaction with the number. A file of a newer version is refused, because what this program does
not know of it, it would spoil. A damaged one is moved aside, for whoever can read it, and a new
one begun. Where the operating system will have none (a full disk), the ledger lives in memory
until the next start: a router without its books is better than no router.
"""

import logging
import sqlite3
from itertools import count
from pathlib import Path

from router.errors import DeviceError

__all__ = ["MIGRATIONS", "open_database"]

BUSY_TIMEOUT_S = 1.0  # seconds; nobody else writes, but somebody may look at it with sqlite3(1)

MIGRATIONS = (
    """
    CREATE TABLE runs (
        id INTEGER PRIMARY KEY,
        boot TEXT NOT NULL
    );
    CREATE TABLE rises (
        id INTEGER PRIMARY KEY,
        link TEXT NOT NULL,
        run INTEGER NOT NULL,
        attempt INTEGER NOT NULL,
        cause TEXT NOT NULL,
        by TEXT NOT NULL,
        why TEXT NOT NULL,
        host TEXT NOT NULL,
        mac TEXT NOT NULL,
        packet TEXT NOT NULL,
        rule TEXT NOT NULL,
        begun_at REAL NOT NULL,
        up_at REAL,
        seen_at REAL NOT NULL,
        ended_at REAL,
        address TEXT NOT NULL,
        waited_s REAL,
        held INTEGER NOT NULL,
        lost INTEGER NOT NULL,
        received_bytes INTEGER NOT NULL,
        sent_bytes INTEGER NOT NULL,
        kept_by TEXT NOT NULL,
        ending TEXT NOT NULL,
        detail TEXT NOT NULL,
        continues INTEGER,
        UNIQUE (run, link, attempt)
    );
    """,
)

_DAMAGE = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_LOW_OCTET = 0xFF  # an extended result code has its kind there (sqlite.org/rescode.html)

_log = logging.getLogger(__name__)


class _DamagedError(Exception):
    pass


def open_database(path: Path, boot: str) -> tuple[sqlite3.Connection, int]:
    """Open the file, made if missing; return the connection and the number of this run.

    `boot` tells the starts of the machine apart. Raises DeviceError for the file of a newer
    version. The connection commits each statement by itself where no transaction is begun.
    """
    try:
        try:
            return _open(str(path), boot)
        except _DamagedError as error:
            aside = _move_aside(path)
            _log.error("the dial ledger %s was damaged (%s): it is now %s", path, error, aside)
            return _open(str(path), boot)
    except (sqlite3.Error, OSError, _DamagedError) as error:
        _log.error(
            "the dial ledger %s cannot be used (%s): until the next start it is kept in memory, "
            "and budgets count from now",
            path,
            error,
        )
        return _open(":memory:", boot)


def _open(database: str, boot: str) -> tuple[sqlite3.Connection, int]:
    connection = sqlite3.connect(database, timeout=BUSY_TIMEOUT_S, isolation_level=None)
    try:
        connection.row_factory = sqlite3.Row
        _check_version(connection, database)
        connection.execute("PRAGMA journal_mode = WAL")
        _check_pages(connection)
        _migrate(connection)
        run = connection.execute("INSERT INTO runs (boot) VALUES (?)", (boot,)).lastrowid
    except BaseException as error:
        connection.close()
        if isinstance(error, sqlite3.Error) and _is_damage(error):
            raise _DamagedError(str(error)) from error
        raise
    assert run is not None
    return connection, run


def _is_damage(error: sqlite3.Error) -> bool:
    return getattr(error, "sqlite_errorcode", 0) & _LOW_OCTET in _DAMAGE


def _version(connection: sqlite3.Connection) -> int:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    return int(version)


def _check_version(connection: sqlite3.Connection, database: str) -> None:
    version, known = _version(connection), len(MIGRATIONS)
    if version > known:
        raise DeviceError(
            f"the dial ledger {database} is of a newer postroad (version {version}, this one"
            f" knows {known}); run that one, or move the file away"
        )


def _check_pages(connection: sqlite3.Connection) -> None:
    (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if found != "ok":
        raise _DamagedError(" ".join(found.split()))


def _migrate(connection: sqlite3.Connection) -> None:
    done = _version(connection)
    for number, script in enumerate(MIGRATIONS[done:], done + 1):
        connection.executescript(
            f"BEGIN IMMEDIATE; {script} PRAGMA user_version = {number}; COMMIT;"
        )


def _move_aside(path: Path) -> Path:
    """Rename the file; its log is gone, worked into it when the connection was closed."""
    free = (path.with_name(f"{path.name}.damaged-{number}") for number in count(1))
    aside = next(name for name in free if not name.exists())
    path.rename(aside)
    return aside
