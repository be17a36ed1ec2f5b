"""Conversations with the modem, as text.

`<<` is what the terminal sends, `>>` what it gets; `+` lets seconds pass, `line`, `ring` and `dtr`
are what happens to the modem, `--` is what it does. All it does and says is written down, in order.
"""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.lab import modem as modems
from router.lab.modem import Modem
from router.lab.modemeffects import (
    Answer,
    Answered,
    Carrier,
    Dial,
    Effect,
    HangUp,
    Heard,
    ToLine,
    ToTerminal,
)
from router.lab.modemstates import State

CONVERSATIONS = sorted((Path(__file__).parent / "conversations").glob("*.txt"))


class Desk:
    """A modem, its clock, and somebody who writes down what it does."""

    def __init__(self) -> None:
        self.modem = Modem()
        self.now = 1000.0

    def do(self, step: str) -> None:
        word, _, rest = step.partition(" ")
        if word == "<<":
            self.modem.from_terminal(octets(rest), self.now)
        elif word == "line":
            self._line(rest)
        elif word == "ring":
            self.modem.ring(self.now)
        elif word == "dtr":
            self.modem.dtr(rest == "on", self.now)
        else:
            self._pass(float(step))
        self._due(self.now)

    def _line(self, what: str) -> None:
        if what.startswith("sends "):
            self.modem.from_line(octets(what.removeprefix("sends ")))
        elif what.startswith("connected "):
            self.modem.line_connected(int(what.removeprefix("connected ")), self.now)
        else:
            getattr(self.modem, f"line_{what.replace(' ', '_')}")(self.now)

    def _pass(self, seconds: float) -> None:
        until = self.now + seconds
        self._due(until)
        self.now = until

    def _due(self, until: float) -> None:
        while (due := self.modem.next_deadline()) <= until + 1e-9:
            self.now = max(self.now, due)
            self.modem.handle_timer(self.now)

    def written(self) -> list[str]:
        lines: list[str] = []
        for effect in self.modem.take_effects():
            line = said(effect)
            if line.startswith(">> ") and lines and lines[-1].startswith(">> "):
                lines[-1] += line.removeprefix(">> ")
            elif line:
                lines.append(line)
        return lines


def octets(text: str) -> bytes:
    return text.encode("ascii").decode("unicode_escape").encode("latin-1")


def said(effect: Effect) -> str:
    match effect:
        case ToTerminal(data):
            return ">> " + shown(data)
        case ToLine(data):
            return "-- line gets " + shown(data)
        case Dial(number):
            return f"-- dial {number}"
        case Answer():
            return "-- answer"
        case HangUp():
            return "-- hang up"
        case Carrier(on):
            return f"-- carrier {'on' if on else 'off'}"
        case Heard() | Answered():
            return ""


def shown(data: bytes) -> str:
    return data.decode("latin-1").encode("unicode_escape").decode("ascii")


def joined(lines: list[str]) -> list[str]:
    """Return the lines with what the terminal gets at once in one."""
    whole: list[str] = []
    for line in lines:
        if line.startswith(">> ") and whole and whole[-1].startswith(">> "):
            whole[-1] += line.removeprefix(">> ")
        else:
            whole.append(line)
    return whole


@pytest.mark.parametrize("file", CONVERSATIONS, ids=lambda file: file.stem)
def test_a_conversation(file: Path) -> None:
    desk = Desk()
    steps: list[tuple[str, list[str]]] = []
    for line in file.read_text().splitlines():
        if line.startswith((">>", "--")):
            steps[-1][1].append(line)
        elif not line.startswith("#"):
            steps.append((line, []))
    for step, expected in steps:
        desk.do(step)
        assert desk.written() == joined(expected), step


def test_there_are_conversations() -> None:
    assert len(CONVERSATIONS) > 10


def a_call(now: float = 0.0) -> Modem:
    modem = Modem()
    modem.from_terminal(b"ATE0DT1\r", now)
    modem.line_connected(33600, now)
    modem.take_effects()
    return modem


def test_commands_and_results_are_told_to_the_log() -> None:
    modem = Modem()
    modem.from_terminal(b"atq1\rATDT5551234\r", 0.0)
    modem.line_connected(33600, 3.0)
    modem.from_terminal(b"user password\r", 4.0)
    log = [one for one in modem.take_effects() if isinstance(one, Heard | Answered)]
    assert log == [
        Heard("ATq1"),
        Answered("OK"),
        Heard("ATDT5551234"),
        Answered("CONNECT 33600"),
    ]


def test_what_is_typed_without_at_is_not_told_to_the_log() -> None:
    modem = Modem()
    modem.from_terminal(b"secret\r", 0.0)
    assert [one for one in modem.take_effects() if not isinstance(one, ToTerminal)] == []


def test_what_waits_for_the_terminal_is_bounded() -> None:
    modem = a_call()
    modem.from_terminal(b"+++", 2.0)
    modem.handle_timer(4.0)
    for _ in range(10):
        modem.from_line(b"x" * 1000)
    modem.take_effects()
    modem.from_terminal(b"ATO\r", 5.0)
    kept = [one.data for one in modem.take_effects() if isinstance(one, ToTerminal)]
    assert kept[-1] == b"x" * modems.HELD_LIMIT


def test_a_line_without_end_is_an_error_when_it_ends() -> None:
    modem = Modem()
    modem.from_terminal(b"AT" + b"E" * 100_000 + b"\r", 0.0)
    assert modem.take_effects()[-1] == ToTerminal(b"\r\nERROR\r\n")
    modem.from_terminal(b"AT\r", 0.0)
    assert modem.take_effects()[-1] == ToTerminal(b"\r\nOK\r\n")


def test_what_comes_after_the_silence_of_an_escape_is_a_command() -> None:
    modem = a_call()
    modem.from_terminal(b"+++", 2.0)
    modem.from_terminal(b"ATH\r", 3.5)  # the timer has not been heard of
    assert modem.state is State.IDLE


def test_the_rings_of_a_register_end_at_what_it_holds() -> None:
    modem = Modem()
    for number in range(300):
        modem.ring(number * 5.0)
    modem.from_terminal(b"ATS1?\r", 1500.0)
    assert ToTerminal(b"\r\n255\r\n") in modem.take_effects()


STEPS = st.one_of(
    st.binary(max_size=6).map(lambda data: ("terminal", data)),
    st.text("ATDEHOZC01+/S=&?\r", max_size=12).map(lambda text: ("terminal", text.encode())),
    st.sampled_from(
        ["busy", "no_answer", "no_dialtone", "lost", "connected", "ring", "on", "off"]
    ).map(lambda what: (what, b"")),
    st.just(("wait", b"")),
)


def happen(modem: Modem, what: str, data: bytes, now: float) -> None:
    if what == "terminal":
        modem.from_terminal(data, now)
    elif what == "connected":
        modem.line_connected(33600, now)
    elif what == "ring":
        modem.ring(now)
    elif what in ("on", "off"):
        modem.dtr(what == "on", now)
    elif what == "wait":
        modem.handle_timer(now)
    else:
        getattr(modem, f"line_{what}")(now)


@given(st.lists(st.tuples(st.floats(0.0, 60.0), STEPS), max_size=40))
def test_whatever_happens_no_timer_is_late_and_carrier_belongs_to_a_call(
    steps: list[tuple[float, tuple[str, bytes]]],
) -> None:
    modem, now, carrier, is_off_hook = Modem(), 0.0, False, False
    for seconds, (what, data) in steps:
        now += seconds
        modem.handle_timer(now)
        happen(modem, what, data, now)
        assert modem.next_deadline() > now
        for effect in modem.take_effects():
            if isinstance(effect, Carrier):
                assert effect.on is not carrier
                carrier = effect.on
            elif isinstance(effect, Dial | Answer | HangUp):
                is_off_hook = not isinstance(effect, HangUp)
            elif isinstance(effect, ToLine):
                assert is_off_hook
