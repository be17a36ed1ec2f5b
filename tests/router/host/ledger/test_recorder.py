import logging
from dataclasses import replace

import pytest

from router.host.ledger import recorder as recorder_module
from router.host.ledger.entries import Entry
from router.host.ledger.recorder import KEPT_DAYS, LOG_INTERVAL_S, Recorder
from router.host.ledger.store import Store
from router.link.budget import Use
from router.link.messages import Rise, Trigger
from router.link.types import Cause, Ending
from tests.router.host.ledger.conftest import EPOCH, PACKET, TRIGGER, Wall, entry, found

BEGUN = Rise("isp", 1, TRIGGER, begun_at=100.0)
UP = replace(BEGUN, up_at=106.0, address="203.0.113.9", waited_s=6.0, held=3)
FELL = replace(
    UP, ended_at=400.0, lost=1, kept_by="mail, tcp", ending=Ending.IDLE, detail="nothing held it"
)
_DAY_S = 86400.0


def only(store: Store) -> Entry:
    (told,) = store.entries(10)
    return told


def refuse(store: Store, *, refuse: bool = True) -> None:
    """Have the database refuse to be written, as on a card that has turned read-only."""
    store._connection.execute(f"PRAGMA query_only = {int(refuse)}")


def test_a_rise_from_the_first_packet_to_its_end(store: Store, recorder: Recorder) -> None:
    recorder.note(BEGUN, 5000, 700)
    begun = Entry(
        link="isp", run=store.run, attempt=1, cause="traffic", by="mail", why="",
        host="192.168.1.10", mac="52:54:00:12:34:56", packet=PACKET, rule="accept tcp port 25",
        begun_at=EPOCH + 100.0, up_at=None, seen_at=EPOCH + 100.0, ended_at=None, address="",
        waited_s=None, held=0, lost=0, received_bytes=0, sent_bytes=0, kept_by="", ending="",
        detail="", id=1,
    )  # fmt: skip
    assert only(store) == begun
    recorder.note(UP, 5000, 760)
    up = replace(
        begun, up_at=EPOCH + 106.0, seen_at=EPOCH + 106.0, address="203.0.113.9", waited_s=6.0,
        held=3,
    )  # fmt: skip
    assert only(store) == up
    recorder.heartbeat(110.0, 9000, 860)
    seen = replace(up, seen_at=EPOCH + 110.0, received_bytes=4000, sent_bytes=100)
    assert only(store) == seen
    recorder.note(FELL, 9500, 900)
    assert only(store) == replace(
        seen, seen_at=EPOCH + 400.0, ended_at=EPOCH + 400.0, received_bytes=4500, sent_bytes=140,
        lost=1, kept_by="mail, tcp", ending="idle", detail="nothing held it",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("ending", "detail"), [(Ending.FAILED, "busy"), (Ending.REFUSED, "wrong password")]
)
def test_an_attempt_that_fails_has_carried_nothing(
    store: Store, recorder: Recorder, ending: Ending, detail: str
) -> None:
    recorder.note(BEGUN, 0, 0)
    recorder.heartbeat(105.0, 500, 500)
    recorder.note(replace(BEGUN, ended_at=130.0, ending=ending, detail=detail), 900, 900)
    told = only(store)
    assert (told.up_at, told.ended_at, told.bytes) == (None, EPOCH + 130.0, 0)
    assert (told.ending, told.detail) == (ending.value, detail)


def test_heartbeats_are_about_what_is_open(store: Store, recorder: Recorder) -> None:
    recorder.heartbeat(50.0, 0, 0)
    assert store.entries(10) == []
    recorder.note(BEGUN, 0, 0)
    recorder.heartbeat(105.0, 0, 0)
    assert only(store).seen_at == EPOCH + 105.0
    recorder.note(FELL, 0, 0)
    recorder.heartbeat(405.0, 9000, 0)
    assert (only(store).seen_at, only(store).bytes) == (EPOCH + 400.0, 0)


def test_another_address_takes_nothing_back(store: Store, recorder: Recorder) -> None:
    recorder.note(BEGUN, 0, 0)
    recorder.note(UP, 0, 0)
    recorder.heartbeat(200.0, 70, 7)
    recorder.note(replace(UP, address="203.0.113.77"), 80, 8)
    told = only(store)
    assert (told.address, told.seen_at, told.bytes) == ("203.0.113.77", EPOCH + 200.0, 88)


def test_a_clock_set_by_way_of_the_line_puts_the_whole_rise_right(
    store: Store, recorder: Recorder, wall: Wall
) -> None:
    wall.set_by(-EPOCH)  # a box without a battery begins in 1970
    recorder.note(BEGUN, 0, 0)
    recorder.note(UP, 0, 0)
    assert (only(store).begun_at, only(store).up_at) == (100.0, 106.0)
    wall.set_by(EPOCH)
    recorder.heartbeat(110.0, 0, 0)
    told = only(store)
    assert (told.begun_at, told.up_at, told.seen_at) == (
        EPOCH + 100.0, EPOCH + 106.0, EPOCH + 110.0,
    )  # fmt: skip


def test_bytes_are_charged_to_the_link_that_carries_new_sessions(
    store: Store, recorder: Recorder
) -> None:
    backup = Rise("lte", 1, TRIGGER, begun_at=100.0, up_at=100.0)
    recorder.note(backup, 0, 0)
    recorder.note(BEGUN, 100, 0)
    recorder.note(UP, 300, 0)  # the better one is back, the other one drains
    recorder.heartbeat(200.0, 1300, 0)
    recorder.note(FELL, 2300, 0)
    recorder.heartbeat(500.0, 2350, 0)
    told = {each.link: each.bytes for each in store.entries(10)}
    assert told == {"isp": 2000, "lte": 350}


def cut_short(store: Store) -> None:
    """Have an earlier run killed while the line was up, last seen at EPOCH + 60."""
    store.write([entry()], synced=True)
    store.close_abandoned()


def test_a_line_found_up_goes_on_with_what_a_kill_cut_short(
    store: Store, recorder: Recorder
) -> None:
    cut_short(store)
    assert store.uses(EPOCH, {"isp"}) == [Use(EPOCH + 5.0, EPOCH + 60.0, 1200)]
    recorder.note(found(1, 90.0, address="203.0.113.9"), 0, 0)
    recorder.heartbeat(95.0, 30, 3)
    told, before = store.entries(10)
    assert (told.continues, told.begun_at, told.up_at) == (before.id, before.ended_at, EPOCH + 90.0)
    assert (told.cause, told.seen_at, told.bytes) == ("found up", EPOCH + 95.0, 33)
    assert store.uses(EPOCH, {"isp"}) == [Use(EPOCH + 5.0, EPOCH + 90.0, 1200)]
    recorder.note(found(1, 90.0, ended_at=200.0, ending=Ending.IDLE), 40, 4)
    recorder.note(found(2, 300.0), 40, 4)  # somebody else raised it, later
    assert [each.continues for each in store.entries(10)] == [None, before.id, None]


@pytest.mark.parametrize("cause", [each for each in Cause if each is not Cause.FOUND])
def test_what_is_dialled_anew_goes_on_with_nothing(
    store: Store, recorder: Recorder, cause: Cause
) -> None:
    cut_short(store)
    recorder.note(Rise("isp", 1, Trigger(cause), begun_at=90.0), 0, 0)
    told = store.entries(10)[0]
    assert (told.continues, told.begun_at) == (None, EPOCH + 90.0)


def test_trouble_is_counted_told_now_and_then_and_made_up_for(
    store: Store, recorder: Recorder, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    recorder.note(BEGUN, 0, 0)
    refuse(store)
    recorder.note(UP, 0, 0)
    recorder.heartbeat(110.0, 500, 0)
    recorder.note(FELL, 900, 0)
    recorder.note(replace(BEGUN, attempt=2, begun_at=500.0), 900, 0)
    assert only(store).up_at is None
    assert recorder.failures == 5  # and pruning
    recorder.heartbeat(106.0 + LOG_INTERVAL_S, 900, 0)
    assert recorder.failures == 6
    refuse(store, refuse=False)
    recorder.heartbeat(4000.0, 900, 0)
    assert store._connection.execute("PRAGMA synchronous").fetchone()[0] == 2  # ends are synced
    second, first = store.entries(10)
    assert (first.ended_at, first.bytes, first.ending) == (EPOCH + 400.0, 900, "idle")
    assert (second.begun_at, second.seen_at) == (EPOCH + 500.0, EPOCH + 4000.0)
    recorder.heartbeat(4005.0, 900, 0)
    assert store._connection.execute("PRAGMA synchronous").fetchone()[0] == 1  # nothing waits
    said = "attempt to write a readonly database; the router goes on"
    assert [record.getMessage().partition(": ")[2] for record in caplog.records] == [
        f"{said} (1 failures so far)",
        f"{said} (6 failures so far)",
        "",
    ]
    assert caplog.records[-1].getMessage() == "the dial ledger is written again"


def test_a_full_disk_is_trouble_too_and_what_waits_for_room_is_bounded(
    store: Store, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder_module, "UNWRITTEN_ENTRIES", 5)
    pages = store._connection.execute("PRAGMA page_count").fetchone()[0]
    store._connection.execute(f"PRAGMA max_page_count = {pages}")
    number = 0
    while not recorder.failures:  # the last page fills up
        number += 1
        recorder.note(replace(FELL, attempt=number), 0, 0)
    written = number - 1
    for lost in range(number + 1, number + 8):
        recorder.note(replace(FELL, attempt=lost), 0, 0)
    assert len(store.entries(1000)) == written
    store._connection.execute("PRAGMA max_page_count = 1000")
    recorder.heartbeat(500.0, 0, 0)
    attempts = [each.attempt for each in store.entries(1000)]
    assert attempts[:5] == [written + 8 - place for place in range(5)]
    assert len(attempts) == written + 5


def test_a_find_that_cannot_be_looked_up_is_entered_by_itself(
    store: Store, recorder: Recorder
) -> None:
    store._connection.execute("ALTER TABLE runs RENAME TO elsewhere")
    recorder.note(found(1, 90.0), 0, 0)
    assert recorder.failures == 1
    assert only(store).continues is None


@pytest.mark.parametrize("field", ["by", "why", "packet", "rule"])
def test_words_from_outside_cannot_do_anything_to_a_terminal_or_the_database(
    store: Store, recorder: Recorder, field: str
) -> None:
    trigger = replace(Trigger(Cause.LEASE), **{field: "bell\a \x1b[2J \ud800 né\n"})
    recorder.note(Rise("isp", 1, trigger, begun_at=1.0, detail="a\tb", kept_by="c\0d"), 0, 0)
    told = only(store)
    assert getattr(told, field) == "bell\ufffd \ufffd[2J \ufffd né\ufffd"
    assert (told.detail, told.kept_by) == ("a\ufffdb", "c\ufffdd")
    assert recorder.failures == 0


def test_once_a_day_what_is_too_old_goes(store: Store, recorder: Recorder, wall: Wall) -> None:
    recorder.heartbeat(0.0, 0, 0)
    recorder.note(FELL, 0, 0)
    wall.set_by(KEPT_DAYS * _DAY_S)
    recorder.heartbeat(_DAY_S - 1.0, 0, 0)
    assert len(store.entries(10)) == 1
    recorder.heartbeat(_DAY_S, 0, 0)
    assert store.entries(10) == []
