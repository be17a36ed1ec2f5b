import threading
from dataclasses import replace
from pathlib import Path

import pytest

from router.errors import DeviceError
from router.host.ledger.entries import KILLED, Dialer, Entry
from router.host.ledger.store import Store
from router.link.budget import Use
from tests.router.host.ledger.conftest import BOOT, EPOCH, entry

_FAILED = {"up_at": None, "address": "", "ending": "failed", "received_bytes": 0, "sent_bytes": 0}


def ended(up_s: float, **fields: object) -> Entry:
    """A rise that was up for so long."""
    up_at = fields.get("up_at", EPOCH + 5.0)
    assert isinstance(up_at, float)
    return entry(ended_at=up_at + up_s, seen_at=up_at + up_s, ending="idle", **fields)


def failed(**fields: object) -> Entry:
    return entry(**(_FAILED | {"ended_at": EPOCH + 30.0, "seen_at": EPOCH + 30.0} | fields))


def test_what_is_written_comes_back_whole(store: Store) -> None:
    whole = ended(755.5, kept_by="mail", detail="nothing held it", continues=7)
    bare = failed(attempt=2, waited_s=None)
    store.write([whole, bare], synced=True)
    assert store.entries(10) == [replace(bare, id=2), replace(whole, id=1)]


def test_writing_again_replaces_what_was_said_and_keeps_the_place(store: Store) -> None:
    store.write([entry(), entry(attempt=2)], synced=True)
    store.write([ended(60.0, lost=9)], synced=True)
    second, first = store.entries(10)
    assert (second.attempt, first) == (2, replace(ended(60.0, lost=9), id=1))


def test_runs_and_links_have_attempts_of_their_own(store: Store) -> None:
    store.write([entry(), entry(run=store.run), entry(link="lte")], synced=True)
    assert len(store.entries(10)) == 3


def test_all_or_none_is_written(store: Store) -> None:
    with pytest.raises(DeviceError, match="NOT NULL constraint failed"):
        store.write([entry(), entry(attempt=2, by=None)], synced=True)
    assert store.entries(10) == []


@pytest.mark.parametrize(("synced", "level"), [(True, 2), (False, 1)])  # FULL, NORMAL
def test_only_what_is_synced_waits_for_the_disk(store: Store, synced: bool, level: int) -> None:
    store.write([entry()], synced=synced)
    assert store._connection.execute("PRAGMA synchronous").fetchone()[0] == level


def test_what_an_earlier_run_left_open_is_closed_with_what_is_known(store: Store) -> None:
    up, dialling = entry(), entry(attempt=2, up_at=None, begun_at=EPOCH + 50.0)
    own = entry(run=store.run, attempt=1)
    store.write([up, dialling, ended(9.0, attempt=3), own], synced=True)
    closed = store.close_abandoned()
    assert [(each.attempt, each.ended_at, each.ending, each.detail) for each in closed] == [
        (1, up.seen_at, KILLED,
         "last seen up at 2026-05-28 20:27:40 UTC, it may have stayed up longer"),
        (2, dialling.seen_at, KILLED,
         "last seen being raised at 2026-05-28 20:27:40 UTC, it may have come up after that"),
    ]  # fmt: skip
    told = {(each.run, each.attempt): each for each in store.entries(10)}
    assert [told[1, 1], told[1, 2]] == closed
    assert (told[1, 3].ending, told[store.run, 1].ended_at) == ("idle", None)
    assert store.close_abandoned() == []


CUT = [
    ("cut short", [entry()], 1),
    ("cut short while dialling", [entry(up_at=None)], 1),
    ("ended as it should", [ended(60.0)], None),
    ("another link", [entry(link="lte")], None),
    ("one came after it", [entry(), ended(60.0, attempt=2)], None),
    ("the last of two", [entry(), entry(attempt=2)], 2),
    ("none at all", [], None),
]


@pytest.mark.parametrize(("entries", "expected"), [each[1:] for each in CUT], ids=lambda _: "")
def test_only_the_last_of_a_link_can_have_been_cut_short(
    store: Store, entries: list[Entry], expected: int | None
) -> None:
    store.write(entries, synced=True)
    store.close_abandoned()
    cut = store.cut_short("isp")
    assert (None if cut is None else cut.attempt) == expected


def test_no_line_is_what_it_was_once_the_machine_has_been_started_again(
    path: Path, store: Store
) -> None:
    store.write([entry()], synced=True)
    after = Store(path, "boot-2")
    (closed,) = after.close_abandoned()
    assert closed.ending == KILLED
    assert after.cut_short("isp") is None
    after.close()


LISTED = [
    ended(10.0, attempt=1),
    failed(attempt=2, host="192.168.1.11", by="bob"),
    ended(10.0, attempt=3, link="lte", up_at=EPOCH + 100.0),
    entry(attempt=4, cause="user", by="mara", host="", seen_at=EPOCH + 200.0),
]


@pytest.mark.parametrize(
    ("asked", "attempts"),
    [
        ({}, [4, 3, 2, 1]),
        ({"limit": 2}, [4, 3]),
        ({"limit": 2, "before_id": 3}, [2, 1]),
        ({"link": "lte"}, [3]),
        ({"host": "192.168.1.10"}, [3, 1]),
        ({"host": "bob"}, [2]),
        ({"host": "mara"}, [4]),
        ({"since": EPOCH + 110.0}, [4, 3]),
        ({"since": EPOCH + 111.0}, [4]),
        ({"since": EPOCH + 201.0}, []),
        ({"link": "isp", "host": "192.168.1.10", "since": EPOCH}, [1]),
    ],
)
def test_entries_are_the_newest_first_and_chosen(
    store: Store, asked: dict[str, object], attempts: list[int]
) -> None:
    store.write(LISTED, synced=True)
    listed = store.entries(**({"limit": 10} | asked))  # type: ignore[arg-type]
    assert [each.attempt for each in listed] == attempts


def killed(until: float, **fields: object) -> Entry:
    return entry(
        seen_at=EPOCH + until, ended_at=EPOCH + until, ending=KILLED, **fields
    )  # attempts count anew in each run


def goes_on(after: int, found_at: float, until: float, **fields: object) -> Entry:
    """What was found up later and goes on with the entry of that id."""
    return entry(
        cause="found up", by="isp", host="", rule="", continues=after, up_at=EPOCH + found_at,
        seen_at=EPOCH + until, **fields,
    )  # fmt: skip


USES = [
    ("a rise counts from the address on",
     [ended(55.0)], [Use(EPOCH + 5.0, EPOCH + 60.0, 1200)]),
    ("an attempt that failed is a dial without time",
     [failed()], [Use(EPOCH, EPOCH, 0)]),
    ("what this run dials it counts itself",
     [entry(run=3), failed(run=3, attempt=2)], []),
    ("an unmetered link costs nothing",
     [ended(55.0, link="dsl")], []),
    ("what has ended before the period is past",
     [ended(55.0, attempt=1), ended(4.0, attempt=2, up_at=EPOCH - 1000.0)],
     [Use(EPOCH + 5.0, EPOCH + 60.0, 1200)]),
    ("a kill makes two entries of one use, and the gap belongs to it",
     [killed(60.0), goes_on(1, 70.0, 90.0, run=2, ended_at=EPOCH + 90.0, ending="idle")],
     [Use(EPOCH + 5.0, EPOCH + 90.0, 2400)]),
    ("and so do several kills",
     [killed(60.0), killed(80.0, run=2, cause="found up", continues=1, up_at=EPOCH + 70.0),
      goes_on(2, 85.0, 90.0, run=2, attempt=2, ended_at=EPOCH + 90.0)],
     [Use(EPOCH + 5.0, EPOCH + 90.0, 3600)]),
    ("a rise that this run goes on with is past until it was found",
     [killed(60.0), goes_on(1, 70.0, 90.0, run=3)],
     [Use(EPOCH + 5.0, EPOCH + 70.0, 1200)]),
    ("one cut short while dialling and found up is taken to have been up at once",
     [killed(60.0, up_at=None), goes_on(1, 70.0, 90.0, run=3)],
     [Use(EPOCH, EPOCH + 70.0, 1200)]),
    ("one cut short while dialling and not found is an attempt",
     [killed(60.0, up_at=None, received_bytes=0, sent_bytes=0)],
     [Use(EPOCH, EPOCH, 0)]),
    ("of one that goes on, what lies before the period may be left out",
     [killed(-10.0, up_at=EPOCH - 50.0),
      goes_on(1, 70.0, 90.0, run=2, begun_at=EPOCH - 10.0, ended_at=EPOCH + 90.0)],
     [Use(EPOCH + 70.0, EPOCH + 90.0, 1200)]),
]  # fmt: skip


@pytest.mark.parametrize(("entries", "uses"), [each[1:] for each in USES], ids=[u[0] for u in USES])
@pytest.mark.usefixtures("store")
def test_uses_are_what_former_runs_have_used(
    path: Path, entries: list[Entry], uses: list[Use]
) -> None:
    third = Store(path, BOOT)
    third.write(entries, synced=True)
    assert third.uses(EPOCH, {"isp", "lte"}) == uses
    third.close()


def test_top_dialers_are_those_with_most_dials_and_what_those_cost(store: Store) -> None:
    store.write(
        [
            ended(10.0, attempt=1),
            failed(attempt=2),
            killed(25.0, attempt=3),
            goes_on(3, 40.0, 65.0, run=2),
            ended(7.0, attempt=4, rule="accept udp port 53"),
            ended(90.0, attempt=5, cause="user", by="mara", host="", rule=""),
            entry(attempt=6, cause="found up", by="isp", host="", rule=""),
            ended(10.0, attempt=7, up_at=EPOCH - 1000.0),
        ],
        synced=True,
    )
    mail = ("mail", "192.168.1.10", "traffic")
    assert store.top_dialers(EPOCH) == [
        Dialer(*mail, "accept tcp port 25", dials=3, up_s=70.0, bytes=3600),
        Dialer("mara", "", "user", "", dials=1, up_s=90.0, bytes=1200),
        Dialer(*mail, "accept udp port 53", dials=1, up_s=7.0, bytes=1200),
    ]
    assert store.top_dialers()[0].dials == 4


def test_pruning_forgets_what_ended_before_and_runs_without_entries(store: Store) -> None:
    store.write(
        [
            ended(10.0, attempt=1),
            ended(10.0, attempt=2, up_at=EPOCH + 100.0),
            entry(attempt=3, seen_at=EPOCH),
        ],
        synced=True,
    )
    store.prune(EPOCH + 110.0)
    assert [each.attempt for each in store.entries(10)] == [3, 2]
    runs = "SELECT id FROM runs ORDER BY id"
    assert [row[0] for row in store._connection.execute(runs)] == [1, 2]
    store.close_abandoned()
    store.prune(EPOCH + 1000.0)
    assert store.entries(10) == []
    assert [row[0] for row in store._connection.execute(runs)] == [2]


def test_what_the_database_refuses_is_one_sentence(store: Store, path: Path) -> None:
    store._connection.execute("PRAGMA query_only = ON")
    for refused in (
        lambda: store.write([entry()], synced=True),
        lambda: store.prune(EPOCH),
    ):
        with pytest.raises(
            DeviceError, match=f"^the dial ledger {path}: attempt to write a readonly database$"
        ):
            refused()
    store._connection.execute("PRAGMA query_only = OFF")
    store.write([entry()], synced=True)
    assert len(store.entries(10)) == 1


def test_another_thread_is_told_that_the_store_is_not_its_own(store: Store) -> None:
    raised: list[Exception] = []

    def ask() -> None:
        try:
            store.entries(1)
        except DeviceError as error:
            raised.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    thread.join()
    assert "can only be used in that same thread" in str(raised[0])
