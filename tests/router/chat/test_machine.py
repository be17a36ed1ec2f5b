"""Conversations with modems and hosts, in whole lines, octet by octet and cut at random."""

from collections.abc import Iterable
from pathlib import Path
from random import Random

import pytest

from router.chat.hearing import MAX_LINE
from router.chat.machine import ACTS, MAX_UNREAD, Act, Chat, Done, Event, Failed, Send, State
from router.chat.script import parse_script
from tests.router.chat.conversation import Cut, Host, by_octet, lines, played, text_of, whole


def at_random(data: bytes) -> Iterable[bytes]:
    rng, at = Random(len(data)), 0
    while at < len(data):
        size = rng.randrange(0, 5)
        yield data[at : at + size]
        at += size


SAMPLE = Path(__file__).parents[3] / "etc/isp.chat"

cuts = pytest.mark.parametrize("cut", [whole, by_octet, at_random])

DIAL = r"""
ABORT BUSY ABORT 'NO CARRIER' REPORT CONNECT
TIMEOUT 5 '' ATZ OK ATDT\T
TIMEOUT 60 CONNECT \c
"""

CALLS = {
    "a call, and PPP after it": (
        DIAL,
        r"""
        > ATZ\r
        < ATZ\r\r\nOK\r\n
        > ATDT5551234\r
        < ATDT5551234\r\r\nCONNECT 33600\r\n~\xff}#\x00
        done " 33600\r\n~\xff}#\x00" / CONNECT 33600
        """,
    ),
    "a busy number": (
        DIAL,
        r"""
        > ATZ\r
        < OK\r\n
        > ATDT5551234\r
        < \r\nBUSY\r\n
        failed: the modem says BUSY
        """,
    ),
    "busy before it was dialled": (
        DIAL,
        r"""
        > ATZ\r
        < NO CARRIER\r\nOK\r\n
        failed: the modem says NO CARRIER
        """,
    ),
    "a dead modem": (
        DIAL,
        r"""
        > ATZ\r
        @ 4.9
        @ 5
        failed: no OK within 5 s
        """,
    ),
    "nobody answers": (
        DIAL,
        r"""
        > ATZ\r
        @ 3
        < OK\r\n
        > ATDT5551234\r
        @ 62.9
        < RINGING\r\n
        @ 63
        failed: no CONNECT within 60 s after dialling
        """,
    ),
    "a modem that hangs up": (
        "+++ ATH OK ATZ OK",
        r"""
        < \r\n+++\r\n
        > ATH\r
        < OK\r\n
        > ATZ\r
        < OK
        done ""
        """,
    ),
}

WAITS = {
    "45 s where nothing else is said": (
        "'' ATZ OK",
        r"""
        > ATZ\r
        @ 44.9
        @ 45
        failed: no OK within 45 s
        """,
    ),
    "a time-out holds from then on, for each string anew": (
        "TIMEOUT 7 '' A a B b C c",
        r"""
        > A\r
        @ 6
        < a
        > B\r
        @ 12
        < b
        > C\r
        @ 18.9
        @ 19
        failed: no c within 7 s
        """,
    ),
    "a silent host is sent a return": (
        "ogin:--ogin: ppp ssword: hello",
        r"""
        @ 45
        > \r
        < \r\nlogin:
        > ppp\r
        < ppp\r\nPassword:
        > hello\r
        done ""
        """,
    ),
    "what is for a silent host is not sent to one that speaks": (
        "ogin:-BREAK-ogin: ppp",
        r"""
        < login:
        > ppp\r
        done ""
        """,
    ),
    "the last of three attempts fails": (
        "TIMEOUT 10 ogin:-BREAK-ogin:-EOT-ogin: ppp",
        r"""
        @ 10
        break
        @ 20
        > \x04
        @ 29
        < garbage
        @ 30
        failed: no ogin: within 10 s
        """,
    ),
    "an expect word that ends in what is sent does not fail": (
        "TIMEOUT 10 ogin:-hello there",
        r"""
        @ 10
        > hello\r
        > there\r
        done ""
        """,
    ),
    "an abort string ends it though there are more attempts": (
        "ABORT BUSY ogin:--ogin: ppp",
        r"""
        < BUSY
        failed: the modem says BUSY
        """,
    ),
    "an expect word that dials again": (
        r"TIMEOUT 9 '' AT OK-ATX3DT\T-OK",
        r"""
        > AT\r
        @ 9
        > ATX3DT5551234\r
        @ 18
        failed: no OK within 9 s after dialling
        """,
    ),
}

SENT = {
    "pauses": (
        r"'' \d\dA\pB\p\c A C",
        r"""
        @ 1.99
        @ 2
        > A
        @ 2.11
        > B
        @ 2.19
        < A
        @ 2.21
        > C\r
        done ""
        """,
    ),
    "what comes in a pause is for the next wait": (
        r"A \d\c B c",
        r"""
        < A.BA~
        @ 1
        > c\r
        done "A~"
        """,
    ),
    "an abort string that comes in a pause is found after it": (
        r"ABORT BUSY A \dx OK",
        r"""
        < A BUSY
        @ 0.9
        @ 1
        > x\r
        failed: the modem says BUSY
        """,
    ),
    "escapes": (
        r"""'' '\b\n\r\s\t\\\N\33\377^C^[\^\'\q"' '' "don't\c" """,
        r"""
        > \x08\n\r \t\\\x00\x1b\xff\x03\x1b^'"\r
        > don't
        done ""
        """,
    ),
    "breaks, and nothing at all": (
        r"'' BREAK '' A\KB '' '' '' \c '' EOT",
        r"""
        break
        > A
        break
        > B\r
        > \r
        > \x04
        done ""
        """,
    ),
    "an empty file is an empty string": (
        "'' @empty",
        r"""
        > \r
        done ""
        """,
    ),
    "a secret is sent as it is": (
        r"'' @isp.password 'word-@ other\-y-' '@ other-y'",
        r"""
        > p^\\d-\xff\r
        @ 45
        > pin\r
        > pin\r
        done ""
        """,
    ),
}

HEARD = {
    "parity and NULs are not listened to": (
        r"ABORT BUSY OK a CONNECT \c",
        r"""
        < \x00\xcf\x00\x80\xcb\x8d\xff\x03
        > a\r
        < CON\x00NECT\x00\xff\x03\x80
        done "\x00\xff\x03\x80"
        """,
    ),
    "a false start": (
        "aab x",
        r"""
        < aaab.
        > x\r
        done "."
        """,
    ),
    "a string does not lie across two waits": (
        "TIMEOUT 5 ab x bc",
        r"""
        < abc
        > x\r
        @ 5
        failed: no bc within 5 s
        """,
    ),
    "what ends first counts": (
        "ABORT BUSY LONGER",
        r"""
        < BUSY.LONGER
        failed: the modem says BUSY
        """,
    ),
    "what is expected counts before what ends with it": (
        "ABORT ECT ABORT CT CONNECT x",
        r"""
        < CONNECT
        > x\r
        done ""
        """,
    ),
    "of two abort strings that end together it is the first": (
        "ABORT ECT ABORT CONNECT x",
        r"""
        < CONNECT
        failed: the modem says ECT
        """,
    ),
    "abort strings may be taken back": (
        "ABORT BUSY ABORT ERROR CLR_ABORT BUSY CLR_ABORT NEVER OK x y",
        r"""
        < BUSY OK
        > x\r
        < ERROR
        failed: the modem says ERROR
        """,
    ),
    "control characters are told as the script has them": (
        r"TIMEOUT 1 '^Ma\tb\\'",
        r"""
        @ 1
        failed: no \ra\tb\\ within 1 s
        """,
    ),
    "one chunk for many steps": (
        "a 1 b 2 c 3 d 4",
        r"""
        < xaxbxcxdx
        > 1\r
        > 2\r
        > 3\r
        > 4\r
        done "x"
        """,
    ),
}

TOLD = {
    "what is said to people": (
        r"SAY 'now\sdialling\n' SAY '' '' A",
        r"""
        : now dialling
        > A\r
        done ""
        """,
    ),
    "whole lines are echoed, without what was sent": (
        r"ECHO ON '' ATZ OK ATDT\T CONNECT \c ogin: pip word: @isp.password '>' \c ECHO OFF '$'",
        r"""
        > ATZ\r
        < ATZ\r\r\nOK\r\n
        : ...
        > ATDT5551234\r
        : OK
        < ATDT5551234\r\nCONNECT 33600\r\nlogin:
        : ...
        : CONNECT 33600
        > pip\r
        < pip\r\nWelcome pip!\r\n\r\nPassword:
        : login:...
        : Welcome ...!
        > p^\\d-\xff\r
        < p^\\d-\x7f\r\nline\r\n>\r\nnot this\r\n$
        : Password:...
        : line
        done ""
        """,
    ),
    "a report that ends after the script": (
        DIAL,
        r"""
        > ATZ\r
        < OK\r\n
        > ATDT5551234\r
        < CONNECT
        < \x20336
        < 00/ARQ
        < \x00\r
        done " 33600/ARQ\x00\r" / CONNECT 33600/ARQ
        """,
    ),
    "a report without an end": (
        DIAL,
        r"""
        > ATZ\r
        < OK\r\n
        > ATDT5551234\r
        < CONNECT 33
        @ 0.9
        < 600
        @ 1
        done " 33600" / CONNECT 33600
        """,
    ),
    "each report once, in their order": (
        "REPORT CARRIER REPORT CONNECT REPORT NO CLR_REPORT NO '>' x",
        r"""
        < CONNECT 1 CARRIER\r\nCARRIER 2\nCARRIER 3\rNO\r>
        > x\r
        done "" / CONNECT 1 CARRIER / CARRIER 2
        """,
    ),
    "a report does not tell what was sent": (
        "REPORT ATDT '' ATDTpin CONNECT",
        r"""
        > ATDTpin\r
        < ATDTpin\rCONNECT
        done "" / ...
        """,
    ),
}

SECRETS = {"isp.password": b"p^\\d-\xff\n", "other-y": b"pin", "empty": b"\n"}


@cuts
@pytest.mark.parametrize(
    ("script", "conversation"),
    [
        pytest.param(*pair, id=name)
        for group in (CALLS, WAITS, SENT, HEARD, TOLD)
        for name, pair in group.items()
    ],
)
def test_conversation(script: str, conversation: str, cut: Cut) -> None:
    chat = Chat(parse_script(script, "a.chat"), "5551234", SECRETS)
    assert played(chat, conversation, cut) == lines(conversation)
    assert chat.state is State.OVER
    assert chat.next_deadline() is None


# The sample


@cuts
@pytest.mark.parametrize(
    "conversation",
    [
        r"""
        > ATZ\r
        < ATZ\r\r\nOK\r\n
        > ATDT5551234\r
        @ 25
        < \r\nCONNECT 33600\r\n~
        done " 33600\r\n~" / CONNECT 33600
        """,
        r"""
        > ATZ\r
        @ 5
        > ATZ\r
        < \r\nOK\r\n
        > ATDT5551234\r
        < \r\nNO DIALTONE\r\n
        failed: the modem says NO DIALTONE
        """,
        r"""
        > ATZ\r
        < \r\nERROR\r\n
        failed: the modem says ERROR
        """,
        r"""
        > ATZ\r
        < \r\nOK\r\n
        > ATDT5551234\r
        @ 60
        failed: no CONNECT within 60 s after dialling
        """,
    ],
)
def test_the_sample_dials(conversation: str, cut: Cut) -> None:
    chat = Chat(parse_script(SAMPLE.read_text(), "isp.chat"), "5551234")
    assert played(chat, conversation, cut) == lines(conversation)


# Its states: what is done in each at each event, from the text and not from the code

TABLE = """
              start   octets   due       hangup
    new       go on   keep     .         hang up
    pausing   .       keep     go on     hang up
    expecting .       look     give up   hang up
    reporting .       gather   finish    hang up
    over      .       .        .         .
"""


def test_the_table_is_complete() -> None:
    header, *rows = TABLE.strip("\n").split("\n")
    starts = [header.index(name) for name in header.split()]
    ends = [*starts[1:], None]
    written = {
        (row[:14].strip(), header[start:end].strip()): row[start:end].strip()
        for row in rows
        for start, end in zip(starts, ends, strict=True)
    }
    assert written == {
        (state.value, event.value): ACTS[state][event].value for state in State for event in Event
    }


def in_state(state: State) -> Chat:
    scripts = {
        State.NEW: "'' A",
        State.PAUSING: r"'' \dA",
        State.EXPECTING: "A",
        State.REPORTING: "REPORT A A",
        State.OVER: "",
    }
    chat = Chat(parse_script(scripts[state], "a.chat"))
    if state is not State.NEW:
        chat.start(0.0)
    if state is State.REPORTING:
        chat.receive(b"A", 0.0)
    chat.take_effects()
    assert chat.state is state
    return chat


@pytest.mark.parametrize("state", State)
def test_a_lost_carrier_ends_every_state(state: State) -> None:
    chat = in_state(state)
    chat.carrier_lost(0.5)
    ends = ACTS[state][Event.HANGUP] is Act.HANG_UP
    assert chat.take_effects() == ([Failed("the modem has hung up")] if ends else [])
    assert chat.state is State.OVER


@pytest.mark.parametrize("state", State)
def test_a_chat_is_started_once(state: State) -> None:
    chat = in_state(state)
    deadline = chat.next_deadline()
    chat.start(0.5)
    started = state is State.NEW
    assert chat.take_effects() == ([Send(b"A\r"), Done(b"")] if started else [])
    assert started or chat.next_deadline() == deadline


@pytest.mark.parametrize("state", State)
def test_no_timer_goes_off_before_its_time(state: State) -> None:
    chat = in_state(state)
    deadline = chat.next_deadline()
    chat.handle_timer(0.5)
    assert (chat.state, chat.next_deadline(), chat.take_effects()) == (state, deadline, [])


def test_a_script_may_go_on_without_a_carrier() -> None:
    chat = Chat(parse_script("HANGUP OFF '' ATH OK ATA HANGUP ON CONNECT", "a.chat"))
    chat.start(0.0)
    chat.carrier_lost(0.1)
    chat.receive(b"OK", 0.2)
    assert chat.take_effects() == [Send(b"ATH\r"), Send(b"ATA\r")]
    chat.carrier_lost(0.3)
    assert chat.take_effects() == [Failed("the modem has hung up")]


def test_what_comes_before_the_start_is_the_first_that_is_looked_at() -> None:
    chat = Chat(parse_script(r"RING ATA CONNECT \c", "a.chat"))
    chat.receive(b"RING", 0.0)
    assert chat.take_effects() == []
    chat.start(1.0)
    assert chat.take_effects() == [Send(b"ATA\r")]


def test_after_the_end_nothing_is_done() -> None:
    chat = Chat(parse_script("A", "a.chat"))
    chat.start(0.0)
    chat.receive(b"A~", 0.0)
    assert chat.take_effects() == [Done(b"~")]
    chat.receive(b"A~", 0.0)
    chat.handle_timer(1e6)
    assert chat.take_effects() == []


# Bounds


@cuts
def test_noise_does_not_fill_the_memory(cut: Cut) -> None:
    chat = Chat(parse_script(r"A \d\c B", "a.chat"))
    chat.start(0.0)
    for chunk in cut(b"A" + b"x" * MAX_UNREAD + b"B~"):
        chat.receive(chunk, 0.0)
    assert sum(len(value) for value in vars(chat).values() if isinstance(value, bytes)) <= (
        MAX_UNREAD
    )
    chat.handle_timer(1.0)
    assert chat.take_effects() == [Done(b"~")]  # the latest is kept


@cuts
@pytest.mark.parametrize(
    ("noise", "reports"),
    [
        (b" " + b"x" * 1000, ("CONNECT " + "x" * (MAX_LINE - 8),)),
        (b" 1\r" + b"x" * 1000, ("CONNECT 1",)),
    ],
)
def test_a_report_has_a_bound(noise: bytes, reports: tuple[str, ...], cut: Cut) -> None:
    host = Host(Chat(parse_script("REPORT CONNECT CONNECT", "a.chat")))
    host.start()
    for chunk in cut(b"CONNECT" + noise):
        host.receive(chunk)
    host.end()
    assert host.happened == [" / ".join([f'done "{text_of(noise)}"', *reports])]


@cuts
def test_an_endless_line_is_not_echoed(cut: Cut) -> None:
    host = Host(Chat(parse_script("ECHO ON OK x", "a.chat")))
    host.start()
    said = b"x" * MAX_LINE + b"\r" + b"y" * (MAX_LINE + 1) + b"\rz\rOK"
    for chunk in cut(said):
        host.receive(chunk)
    host.end()
    assert host.happened == [": " + "x" * MAX_LINE, ": z", "> x\\r", 'done ""']


def test_a_long_script_in_one_chunk() -> None:
    count = 5000
    chat = Chat(parse_script("a b " * count, "a.chat"))
    chat.start(0.0)
    chat.receive(b"a" * count, 0.0)
    assert chat.take_effects() == [Send(b"b\r")] * count + [Done(b"")]


# Secrets


def test_what_is_sent_is_not_shown() -> None:
    script = parse_script(r"'' hush x-hush-x @isp.password y hush\T", "a.chat")
    chat = Chat(script, "5551234", {"isp.password": b"5551234hush"})
    chat.start(0.0)
    chat.receive(b"xy", 0.0)
    effects = chat.take_effects()
    sent = [effect.octets for effect in effects if isinstance(effect, Send)]
    assert sent == [b"hush\r", b"5551234hush\r", b"hush5551234\r"]
    for shown in (repr(script), repr(chat), repr(effects)):
        assert "hush" not in shown
        assert "5551234" not in shown


def test_a_secret_that_nobody_has_read_is_told_at_once() -> None:
    with pytest.raises(KeyError, match=r"isp\.password"):
        Chat(parse_script("'' @isp.password", "a.chat"))
