import os
import time

import pytest

from router.cli.story import ended, moment, story, waited
from router.host.ledger.entries import KILLED
from router.link.types import Cause, Ending
from tests.router.cli.told_entries import BEGUN, NO_LINE, NO_PACKET, OPEN, PACKET, told, zone

__all__ = ["zone"]


def test_a_rise_that_traffic_made() -> None:
    assert story(told("mail")) == [
        "isp was up from Thu 2026-05-28 22:26:46 to 22:39:32 (12m46s)"
        " with the address 203.0.113.9.",
        "mail (192.168.1.10, 52:54:00:12:34:56) wanted it at Thu 2026-05-28 22:26:40,"
        " for the packet",
        f"    {PACKET}",
        "The rule that let it dial: accept tcp port 25",
        "The first packet waited 6.2s for it. 3 packets were held, none lost.",
        "1.2 MB came in, 340.0 kB went out.",
        "It fell because nothing held it any longer."
        " What held it last: mail, by accept tcp port 25.",
    ]  # fmt: skip


def test_a_line_that_is_up() -> None:
    first, *_, carried = story(told("mail", **OPEN))
    assert first == (
        "isp is up since Thu 2026-05-28 22:26:46 (12m46s so far) with the address 203.0.113.9."
    )
    assert carried == "1.2 MB came in, 340.0 kB went out."


def test_what_holds_a_line_that_is_up_is_told() -> None:
    lines = story(told("mail", **(OPEN | {"kept_by": "the lease mailgw"})))
    assert lines[-1] == "What held it last: the lease mailgw."


def test_an_attempt_under_way() -> None:
    fields = OPEN | NO_LINE | {"seen_at": BEGUN + 4.0, "held": 1}
    assert story(told("", **fields)) == [
        "isp is being raised, for 4s so far.",
        "mail (192.168.1.10, 52:54:00:12:34:56) wanted it at Thu 2026-05-28 22:26:40,"
        " for the packet",
        f"    {PACKET}",
        "The rule that let it dial: accept tcp port 25",
        "1 packet was held, none lost.",
    ]  # fmt: skip


def test_an_attempt_that_came_to_nothing() -> None:
    fields = NO_LINE | {"ended_at": BEGUN + 34.0, "lost": 3, "ending": "failed", "detail": "busy"}
    lines = story(told("mail", **fields))
    assert lines[0] == "isp did not come up: the attempt ended after 34s."
    assert lines[-2:] == [
        "3 packets were held, 3 lost.",
        "It came to nothing because dialling failed (busy).",
    ]


def test_a_rise_past_midnight_names_both_days() -> None:
    assert story(told(ended_at=BEGUN + 7200.0))[0] == (
        "isp was up from Thu 2026-05-28 22:26:46 to Fri 2026-05-29 00:26:40 (1h59m54s)"
        " with the address 203.0.113.9."
    )


WHO = [
    ("by the name it has now", ("mailhost", {}), "mailhost (192.168.1.10, 52:54:00:12:34:56)"),
    ("by the name it had", ("", {}), "mail (192.168.1.10, 52:54:00:12:34:56)"),
    ("by its address", ("", {"by": "192.168.1.10"}), "192.168.1.10 (52:54:00:12:34:56)"),
    ("by its address alone", ("", {"by": "", "mac": ""}), "192.168.1.10"),
    ("not at all", ("", {"by": "", "mac": "", "host": ""}), "somebody"),
]


@pytest.mark.parametrize(("given", "name"), [each[1:] for each in WHO], ids=[w[0] for w in WHO])
def test_a_host_is_known(given: tuple[str, dict[str, object]], name: str) -> None:
    assert story(told(given[0], **given[1]))[1] == (
        f"{name} wanted it at Thu 2026-05-28 22:26:40, for the packet"
    )


def test_a_name_is_no_packet() -> None:
    asked = "192.168.1.10 asks for www.example.test A"
    assert story(told(packet=asked))[1:3] == [
        "mail (192.168.1.10, 52:54:00:12:34:56) wanted it at Thu 2026-05-28 22:26:40, for a name",
        f"    {asked}",
    ]


AT = "at Thu 2026-05-28 22:26:40"
ORIGINS = {
    Cause.DEMAND: ("mail", "", f"mail wanted it {AT}."),
    Cause.LEASE: (
        "mailgw", "the queue is due", f"The lease mailgw wanted it {AT}: the queue is due.",
    ),
    Cause.USER: ("mara", "mara asked for it", f"mara raised it by hand {AT}."),
    Cause.PERMANENT: (
        "configuration", "it is to be up always",
        f"The router raised it {AT}: it is to be up always.",
    ),
    Cause.RECONNECT: (
        "the router", "the line was in use when it was lost; mara had raised it",
        f"The router raised it again {AT}: the line was in use when it was lost;"
        " mara had raised it.",
    ),
    Cause.RECOVERY: (
        "failover", "it is tried again", f"The router tried {AT} whether it had recovered.",
    ),
    Cause.FOUND: (
        "isp", "it was up already",
        "It was found up at Thu 2026-05-28 22:26:46; the router had not raised it.",
    ),
}  # fmt: skip


@pytest.mark.parametrize("cause", Cause)
def test_every_cause_has_its_sentence(cause: Cause) -> None:
    by, why, sentence = ORIGINS[cause]
    fields = NO_PACKET | {"cause": cause.value, "by": by, "why": why}
    assert story(told("", **fields))[1:3] == [
        sentence,
        "The first packet waited 6.2s for it.",
    ]


def test_a_cause_without_a_reason_is_a_sentence_too() -> None:
    fields = NO_PACKET | {"cause": "lease", "by": "mailgw"}
    assert story(told("", **fields))[1] == f"The lease mailgw wanted it {AT}."


def test_a_line_found_up_after_a_kill_counts_from_when_it_was_last_seen() -> None:
    fields = NO_PACKET | {"cause": "found up", "continues": 30, "up_at": BEGUN + 90.0}
    assert story(told("", **fields))[1] == (
        "It was found up at Thu 2026-05-28 22:28:10, when the router started again after it had"
        " been killed. Nobody saw it since Thu 2026-05-28 22:26:40; that time counts as used."
    )


ENDINGS = {
    Ending.IDLE: ("nothing held it", "nothing held it any longer"),
    Ending.USER: ("mara took it down", "mara took it down"),
    Ending.SESSION_LIMIT: ("as long as it may be up", "it may not be up any longer at a time"),
    Ending.BUDGET: (
        "40 of 40 dials used today", "a budget was used up (40 of 40 dials used today)",
    ),
    Ending.SCHEDULE: ("its hours are over", "its hours were over"),
    Ending.CARRIER_LOST: ("NO CARRIER", "the carrier was lost (NO CARRIER)"),
    Ending.FAILED: ("busy", "dialling failed (busy)"),
    Ending.TIMED_OUT: ("no line after 60 s", "dialling took too long (no line after 60 s)"),
    Ending.REFUSED: (
        "login refused: wrong user", "the provider would not let us in (login refused: wrong user)",
    ),
    Ending.REPLACED: ("dsl is back", "a better line had recovered (dsl is back)"),
    Ending.SHUTDOWN: ("the router stops", "the router was stopped"),
}  # fmt: skip


@pytest.mark.parametrize("ending", Ending)
def test_every_ending_has_its_reason(ending: Ending) -> None:
    detail, reason = ENDINGS[ending]
    fields = {"ending": ending.value, "detail": detail, "kept_by": ""}
    assert story(told("", **fields))[-1] == f"It fell because {reason}."
    assert story(told("", **(NO_LINE | fields)))[-1] == f"It came to nothing because {reason}."


@pytest.mark.parametrize(
    ("detail", "reason"),
    [
        ("", "the carrier was lost"),
        ("carrier lost", "the carrier was lost"),
        ("carrier lost on eth2", "the carrier was lost on eth2"),
        ("eth2 is gone", "the carrier was lost (eth2 is gone)"),
    ],
)
def test_a_detail_that_repeats_the_ending_is_told_once(detail: str, reason: str) -> None:
    fields = {"ending": "carrier lost", "detail": detail, "kept_by": ""}
    assert story(told("", **fields))[-1] == f"It fell because {reason}."


@pytest.mark.parametrize(
    ("ending", "detail", "words"),
    [
        ("idle", "nothing held it", "idle, nothing held it"),
        ("timed out", "", "timed out"),
        ("failed", "busy", "failed, busy"),
        ("carrier lost", "carrier lost", "carrier lost"),
        ("carrier lost", "carrier lost on eth2", "carrier lost on eth2"),
        ("refused", "login refused: wrong user", "login refused: wrong user"),
        ("budget", "over budget: 2 of 2 dials used today", "over budget: 2 of 2 dials used today"),
    ],
)
def test_an_ending_in_a_few_words(ending: str, detail: str, words: str) -> None:
    assert ended(told(ending=ending, detail=detail)) == words


@pytest.mark.parametrize(
    ("fields", "open_question"), [({}, "stayed up longer"), (NO_LINE, "come up all the same")]
)
def test_what_nobody_saw_is_not_made_up(fields: dict[str, object], open_question: str) -> None:
    cut = fields | {"ending": KILLED, "detail": "last seen up at ...", "kept_by": ""}
    assert story(told("", **cut))[-1] == (
        "The router was killed: the end is when it last saw the line, which may have"
        f" {open_question}."
    )


def test_a_person_without_a_detail_is_somebody() -> None:
    assert story(told("", ending="user", detail="", kept_by=""))[-1] == (
        "It fell because somebody took it down."
    )


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.04, "0.0s"), (6.24, "6.2s"), (10.0, "10s"), (75.4, "1m15s")]
)
def test_waiting_is_told_to_the_tenth_while_that_can_be_felt(seconds: float, text: str) -> None:
    assert waited(seconds) == text


def test_instants_are_told_in_the_time_of_the_reader() -> None:
    assert moment(BEGUN) == "Thu 2026-05-28 22:26:40"
    os.environ["TZ"] = "UTC"
    time.tzset()
    assert moment(BEGUN) == "Thu 2026-05-28 20:26:40"
