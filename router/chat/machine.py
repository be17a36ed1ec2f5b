"""A chat with a modem: goes through a script, without input, output or a clock.

    chat = Chat(script, number="5551234", secrets={"isp.password": b"..."})
    chat.start(now)
    chat.receive(octets, now)                        whenever there are some
    chat.handle_timer(now)                           at chat.next_deadline()
    for effect in chat.take_effects(): ...           after each call, until Done or Failed

Theory of operation. The *agenda* is what is still to be done: steps of the script, and the parts of
what is being sent. It is worked off until something has to be waited for. A string that does not
come in time puts what is sent instead, and the attempts after it, at the agenda's head.

* What has arrived and has not been looked at is *unread*: all of it while a send string pauses.
  A string that is met takes what is before it and itself; the rest is for the next one. An expected
  string therefore never lies across two waits, and abort strings are looked for in waits only, all
  as in chat(8). At the end the unread belongs to PPP: octet for octet, with eighth bit and NULs.
* Of an expected string and an abort string that end at the same octet the expected one counts.
* Each wait has its own time-out, which starts when what was sent before has been handed over.
* The line of a report that is unfinished at the end of the script is waited for, `REPORT_S` at
  most. It stays among the unread: whether PPP has begun meanwhile cannot be told.
* `ACTS` is complete: every event has its act in every state. Nothing leads out of OVER.

Nothing that was sent is in an effect's text or repr, not even where a modem echoes it. What is not
done here: several numbers in turn (a chat for each), time-outs of writing, restoring the port.
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from math import inf

from router.chat.hearing import Discretion, Lines, Reports, Search, audible, span_of
from router.chat.steps import (
    Attempt,
    Break,
    Echo,
    Expect,
    Hangup,
    Number,
    Octets,
    Pause,
    Say,
    Script,
    Secret,
    Speech,
    Step,
    Timeout,
    Watch,
    Watchword,
)

__all__ = [
    "ACTS",
    "Act",
    "Break",
    "Chat",
    "Done",
    "Effect",
    "Event",
    "Failed",
    "Say",
    "Send",
    "State",
]

TIMEOUT_S = 45.0  # seconds, until a script says otherwise (chat(8))
REPORT_S = 1.0  # seconds for the end of the last report (chat(8) waits so long for each octet)
MAX_UNREAD = 65536  # octets: several seconds of a fast modem; the latest are kept


@dataclass(frozen=True, slots=True)
class Send:
    """Send these octets."""

    octets: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Done:
    """The script is through; `rest` is what came after it, `reports` what REPORT has collected."""

    rest: bytes
    reports: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Failed:
    """The chat has come to nothing; `why` is a clause for people."""

    why: str


Effect = Send | Break | Say | Done | Failed

_Instant = Speech | Watch | Timeout | Echo | Hangup | Say | Octets | Break
_Spoken = Octets | Break | Pause
_Item = Step | _Spoken


class State(Enum):
    """What the chat waits for."""

    NEW = "new"  # to be started
    PAUSING = "pausing"  # within a send string
    EXPECTING = "expecting"
    REPORTING = "reporting"  # the script is through but for the line of a report
    OVER = "over"

    __hash__ = object.__hash__


class Event(Enum):
    """What happens to the chat."""

    START = "start"
    OCTETS = "octets"
    DUE = "due"  # what it waits for has had its time
    HANGUP = "hangup"  # the carrier is gone

    __hash__ = object.__hash__


class Act(Enum):
    """What it does then."""

    NONE = "."
    GO_ON = "go on"
    KEEP = "keep"  # for the next wait
    LOOK = "look"  # for what is expected
    GIVE_UP = "give up"  # the attempt: send something else, or fail
    GATHER = "gather"  # the report
    FINISH = "finish"
    HANG_UP = "hang up"  # fail, unless HANGUP is OFF

    __hash__ = object.__hash__


def _row(*acts: Act) -> dict[Event, Act]:
    return dict(zip(Event, acts, strict=True))


ACTS: dict[State, dict[Event, Act]] = {
    # state                START      OCTETS      DUE          HANGUP
    State.NEW: _row(Act.GO_ON, Act.KEEP, Act.NONE, Act.HANG_UP),
    State.PAUSING: _row(Act.NONE, Act.KEEP, Act.GO_ON, Act.HANG_UP),
    State.EXPECTING: _row(Act.NONE, Act.LOOK, Act.GIVE_UP, Act.HANG_UP),
    State.REPORTING: _row(Act.NONE, Act.GATHER, Act.FINISH, Act.HANG_UP),
    State.OVER: _row(Act.NONE, Act.NONE, Act.NONE, Act.NONE),
}


class Chat:
    """One run of a script.

    `secrets` has the content of each of `script.files`; one newline at its end is not sent.
    """

    def __init__(
        self, script: Script, number: str = "", secrets: Mapping[str, bytes] | None = None
    ) -> None:
        files = secrets or {}
        self._secrets = {name: files[name].removesuffix(b"\n") for name in script.files}
        self._number = number.encode()
        self._agenda: deque[_Item] = deque(script.steps)
        self._state = State.NEW
        self._effects: list[Effect] = []
        self._unread = b""
        self._deadline = inf
        self._timeout_s = TIMEOUT_S
        self._attempts: tuple[Attempt, ...] = ()  # at the string that is awaited, the current first
        self._search = Search(())
        self._aborts: list[bytes] = []
        self._dialled = False  # by what was sent last
        self._hangup_ends = True
        self._echoes = False
        self._lines = Lines()
        self._discretion = Discretion()
        self._reports = Reports(self._discretion)

    # What happens

    def start(self, now: float) -> None:
        """Begin; what has arrived before is the first that is looked at."""
        self._do(Event.START, now)

    def receive(self, octets: bytes, now: float) -> None:
        """Take what the modem says, in chunks of any size."""
        if self._state is not State.OVER:
            self._unread += octets
        self._do(Event.OCTETS, now)
        self._unread = self._unread[-MAX_UNREAD:]

    def carrier_lost(self, now: float) -> None:
        """Take notice that the line was hung up; a script may say that it goes on."""
        self._do(Event.HANGUP, now)

    def handle_timer(self, now: float) -> None:
        """Do what is due."""
        if now >= self._deadline:
            self._do(Event.DUE, now)

    # What there is to know

    @property
    def state(self) -> State:
        """What it waits for."""
        return self._state

    def next_deadline(self) -> float | None:
        """Return when `handle_timer` has something to do."""
        return None if self._deadline == inf else self._deadline

    def take_effects(self) -> list[Effect]:
        """Return what is to be done, in order, and forget it."""
        effects, self._effects = self._effects, []
        return effects

    # Acts

    def _do(self, event: Event, now: float) -> None:
        act = ACTS[self._state][event]
        if act is Act.GO_ON or (act is Act.LOOK and self._look()):
            self._go_on(now)
        elif act is Act.GIVE_UP:
            self._give_up(now)
        elif act is Act.GATHER:
            self._gather()
        elif act is Act.FINISH:
            self._finish()
        elif act is Act.HANG_UP and self._hangup_ends:
            self._fail("the modem has hung up")

    def _wait(self, state: State, until: float) -> None:
        self._state, self._deadline = state, until

    def _go_on(self, now: float) -> None:
        """Work off the agenda until something has to be waited for."""
        while self._agenda:
            item = self._agenda.popleft()
            if isinstance(item, Pause):
                self._wait(State.PAUSING, now + item.span_s)
                return
            if isinstance(item, Expect):
                if not self._expect(item.attempts, now):
                    return
            else:
                self._proceed(item)
        self._wait(State.REPORTING, now + REPORT_S)
        self._gather()

    def _proceed(self, item: _Instant) -> None:
        """Do what takes no time."""
        if isinstance(item, Speech):
            self._dialled = item.dials
            self._agenda.extendleft(reversed(self._spoken(item)))
        elif isinstance(item, Octets):
            self._discretion.note(item.value)
            self._effects.append(Send(item.value))
        elif isinstance(item, Break):
            self._effects.append(item)
        elif isinstance(item, Say):
            self._effects += [item] if item.text else []
        elif isinstance(item, Watch):
            self._watch(item)
        elif isinstance(item, Timeout):
            self._timeout_s = item.span_s
        elif isinstance(item, Echo):
            self._echoes = item.wanted
        else:
            self._hangup_ends = item.ends

    def _spoken(self, speech: Speech) -> list[_Spoken]:
        """Return the parts of a speech with numbers and secrets in, neighbours joined."""
        spoken: list[_Spoken] = []
        for part in speech.parts:
            if isinstance(part, Pause | Break):
                spoken.append(part)
                continue
            octets, last = self._octets(part), spoken[-1] if spoken else None
            if isinstance(last, Octets):
                spoken[-1] = Octets(last.value + octets)
            elif octets:
                spoken.append(Octets(octets))
        return spoken

    def _octets(self, part: Octets | Number | Secret) -> bytes:
        if isinstance(part, Octets):
            return part.value
        return self._number if isinstance(part, Number) else self._secrets[part.file]

    def _watch(self, watch: Watch) -> None:
        if watch.word is Watchword.REPORT:
            self._reports.watch(watch.string, wanted=watch.wanted)
            return
        self._aborts = [each for each in self._aborts if each != watch.string]
        if watch.wanted:
            self._aborts.append(watch.string)

    # Waiting for a string

    def _expect(self, attempts: tuple[Attempt, ...], now: float) -> bool:
        """Begin to wait for the first of these; return whether it is there already."""
        expected = attempts[0].expected
        if not expected:
            return True
        self._attempts = attempts
        self._search = Search((expected, *self._aborts))
        self._wait(State.EXPECTING, now + self._timeout_s)
        return self._look()

    def _look(self) -> bool:
        """Read what is unread as far as need be; return whether what is expected has come."""
        heard = audible(self._unread)
        found = self._search.feed(heard)
        which, end = found if found is not None else (None, len(heard))
        self._listen(heard[:end])
        self._unread = b"" if which is None else self._unread[span_of(self._unread, end) :]
        if which:
            self._fail(f"the modem says {_shown(self._aborts[which - 1])}")
        return which == 0

    def _listen(self, heard: bytes) -> None:
        self._reports.feed(heard)
        for line in self._lines.feed(heard):
            text = self._discretion.tell(line) if self._echoes else ""
            if text:
                self._effects.append(Say(text))

    def _give_up(self, now: float) -> None:
        """Send what is sent when a string does not come, or fail."""
        attempt, *others = self._attempts
        if attempt.otherwise is None:
            dialling = " after dialling" if self._dialled else ""
            awaited = _shown(attempt.expected)
            self._fail(f"no {awaited} within {self._timeout_s:.0f} s{dialling}")
            return
        if others:
            self._agenda.appendleft(Expect(tuple(others)))
        self._agenda.appendleft(attempt.otherwise)
        self._go_on(now)

    # The end

    def _gather(self) -> None:
        """Finish, unless a report is still without its end."""
        if self._reports.is_finished_by(audible(self._unread)):
            self._finish()

    def _finish(self) -> None:
        self._reports.finish(audible(self._unread))
        self._effects.append(Done(self._unread, tuple(self._reports.texts)))
        self._close()

    def _fail(self, why: str) -> None:
        self._effects.append(Failed(why))
        self._close()

    def _close(self) -> None:
        self._wait(State.OVER, inf)
        self._unread = b""
        self._agenda.clear()


def _shown(string: bytes) -> str:
    """Return a string of the script for people; control characters as the script has them."""
    return string.decode("ascii").encode("unicode_escape").decode("ascii")
