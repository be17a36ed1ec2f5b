r"""A Hayes modem, emulated: from the cable to the terminal on one side to the line on the other.

    modem.from_terminal(b"ATDT5551234\r", now)   # ToTerminal(echo), Heard, Dial("5551234")
    modem.line_connected(33600, now)             # ToTerminal(b"\r\nCONNECT 33600\r\n"), Carrier
    modem.from_terminal(octets, now)             # ToLine(octets)

Theory of operation. Commands (`at`) are events like what the line does, and `modemstates` has the
table of what comes of them.

* A command line (`keyboard`) is echoed as it comes. Its commands are carried out in order, until
  one is wrong or ends the line.
* While it dials or answers, any octet breaks the call off. Those of the first eighth of a second do
  not: some terminals end a line with two octets (V.250 section 5.6.1).
* A call that is not connected within S7 seconds, commas of the number not counted, is given up.
* A modem that does not know a tone (ATX) does not hear it, and waits for S7.
* Online, octets pass. An `escape` leads to command mode; its octets pass, too. What the line brings
  in command mode is kept until ATO, and lost beyond `HELD_LIMIT`.
* When the terminal is not ready any more (DTR), &D says what that means: nothing, command mode, the
  end of the call, or a reset as well.
* `Carrier` is what the terminal's carrier detect shows: the line's, or always on with &C0.

Effects are collected in order, `take_effects` drains them. What is said and heard in commands is
among them, for whoever keeps a log; what passes online is not.
"""

from collections.abc import Callable
from math import inf

from router.lab.at import Command, DialString, Register, Result, Settings, commands
from router.lab.escape import Escape
from router.lab.keyboard import Keyboard
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
from router.lab.modemstates import CALLING, TRANSITIONS, Act, Event, State

__all__ = ["Modem"]

ABORT_GRACE_S = 0.125  # after a command line, in which octets do not break a call off (V.250 5.6.1)
RINGING_ENDS_S = 8.0  # seconds without a ring until nobody calls any more (Hayes' S1)
HELD_LIMIT = 4096  # octets from the line that wait for ATO; some modems have as much
INFORMATION = "postroad lab modem"

_INFORMATION_KINDS = 9  # ATI0 to ATI9, which are makers' to define
_RINGS_LIMIT = 255  # what a register holds
_ON_HOOK = frozenset({State.IDLE, State.OFF_HOOK, State.RINGING})  # no call that could end
_IGNORED, _COMMAND_MODE, _RESET = 0, 1, 3  # meanings of &D; 2 is to hang up


class Modem:
    """One modem, on hook and with the settings of the factory, at a terminal that is ready."""

    def __init__(self) -> None:
        self.state = State.IDLE
        self.settings = Settings()
        self._keyboard = Keyboard(self.settings)
        self._escape: Escape | None = None  # while online
        self._effects: list[Effect] = []
        self._held = bytearray()  # from the line, in command mode
        self._speed = 0
        self._is_ready = True  # the terminal
        self._shows_carrier = False
        self._called = DialString("", 0, waits_for_tone=False)
        self._begun_at = 0.0  # the call
        self._dials_at = inf
        self._timeout_at = inf
        self._do: dict[str, Callable[[Command, float], bool]] = {
            "A": self._answer,
            "D": self._dial,
            "H": self._hook,
            "I": self._inform,
            "O": self._resume,
            "S=": self._set_register,
            "S?": self._show_register,
            "Z": self._reset,
            "&F": self._restore,
        }

    # What happens to it

    def from_terminal(self, data: bytes, now: float) -> None:
        """Take octets of the terminal."""
        self.handle_timer(now)
        if self._escape is not None:
            self._escape.hear(data, now)
            self._effects.append(ToLine(data))
            return
        for octet in data:
            if self.state in CALLING:
                self._disturb(now)
            elif self.state is not State.ONLINE:  # what follows an ATO is too early to pass
                self._type(octet, now)

    def from_line(self, data: bytes) -> None:
        """Take octets of the line."""
        if self.state is State.ONLINE:
            self._effects.append(ToTerminal(data))
        elif self.state is State.ONLINE_COMMAND:
            self._held += data[: HELD_LIMIT - len(self._held)]

    def line_connected(self, speed: int, now: float) -> None:
        """Have a carrier of so many bit/s."""
        if self.state in CALLING:
            self._speed = speed
            self._step(Event.CONNECTED, now)

    def line_busy(self, now: float) -> None:
        """Hear that the number is engaged."""
        if self.settings.knows_busy:
            self._step(Event.FAILED, now, Result.BUSY)

    def line_no_answer(self, now: float) -> None:
        """Hear it ring until the exchange gives up."""
        self._step(Event.FAILED, now, Result.NO_ANSWER)

    def line_no_dialtone(self, now: float) -> None:
        """Hear nothing at all."""
        if self._called.waits_for_tone or self.settings.knows_dial_tone:
            self._step(Event.FAILED, now, Result.NO_DIALTONE)

    def line_lost(self, now: float) -> None:
        """Lose the carrier, or the caller."""
        self._step(Event.LOST, now, Result.NO_CARRIER)

    def ring(self, now: float) -> None:
        """Be called."""
        self._step(Event.RING, now)
        wanted = self.settings.register(Register.AUTO_ANSWER)
        rings = self.settings.register(Register.RINGS)
        if self.state is State.RINGING and self._is_ready and 0 < wanted <= rings:
            self._step(Event.ANSWER, now)

    def dtr(self, on: bool, now: float) -> None:
        """Have the terminal say whether it is ready."""
        is_drop, self._is_ready = self._is_ready and not on, on
        meaning = self.settings["&D"]
        if not is_drop or meaning == _IGNORED:
            return
        self._keyboard.clear()
        if meaning == _COMMAND_MODE:
            self._step(Event.ESCAPE, now, Result.OK)
        else:
            self._step(Event.DROP, now, Result.NO_CARRIER)
        if meaning == _RESET:
            self.settings.restore()

    # Time

    def next_deadline(self) -> float:
        """Return when `handle_timer` has something to do; inf for never."""
        return min(self._dials_at, self._timeout_at, self._escapes_at)

    def handle_timer(self, now: float) -> None:
        """Do what is due."""
        if self._dials_at <= now:
            self._dials_at = inf
            self._effects.append(Dial(self._called.number))
        if self._escapes_at <= now:
            self._step(Event.ESCAPE, now, Result.OK)
        if self._timeout_at <= now:
            self._step(Event.TIMEOUT, now, Result.NO_CARRIER)

    def take_effects(self) -> list[Effect]:
        """Return what there is to do, in order, and forget it."""
        effects, self._effects = self._effects, []
        return effects

    @property
    def _escapes_at(self) -> float:
        return self._escape.deadline() if self._escape is not None else inf

    # Commands; a handler returns whether the rest of the line counts

    def _type(self, octet: int, now: float) -> None:
        if self.settings["E"]:
            self._effects.append(ToTerminal(bytes((octet,))))
        if (body := self._keyboard.type(octet)) is not None:
            self._effects.append(Heard(f"AT{body}"))
            try:
                self._carry_out(body, now)
            except ValueError:
                self._tell(Result.ERROR)

    def _carry_out(self, body: str, now: float) -> None:
        for command in commands(body):
            do = self._do.get(command.name, self._set)
            if not do(command, now):
                return
        self._tell(Result.OK)

    def _dial(self, command: Command, now: float) -> bool:
        called = DialString.parse(command.argument)
        self._begin(Event.DIAL, now)
        self._called = called
        self._dials_at = now + called.pauses * self.settings.register(Register.PAUSE)
        self._timeout_at = self._dials_at + self.settings.register(Register.CARRIER_WAIT)
        self.handle_timer(now)
        return False

    def _answer(self, _command: Command, now: float) -> bool:
        self._begin(Event.ANSWER, now)
        return False

    def _resume(self, command: Command, now: float) -> bool:
        _allow(command, 1)
        self._begin(Event.RESUME, now)
        return False

    def _hook(self, command: Command, now: float) -> bool:
        _allow(command, 1)
        self._begin(Event.OFF_HOOK if command.number else Event.ON_HOOK, now)
        return True

    def _inform(self, command: Command, _now: float) -> bool:
        _allow(command, _INFORMATION_KINDS)
        self._show(INFORMATION)
        return True

    def _set_register(self, command: Command, _now: float) -> bool:
        self.settings.set_register(command.number, int(command.argument))
        return True

    def _show_register(self, command: Command, _now: float) -> bool:
        self._show(f"{self.settings.register(command.number):03}")
        return True

    def _set(self, command: Command, _now: float) -> bool:
        self.settings.set(command.name, command.number)
        return True

    def _reset(self, command: Command, now: float) -> bool:
        _allow(command, 1)
        self._step(Event.ON_HOOK, now)
        self.settings.restore()
        self._tell(Result.OK)
        return False

    def _restore(self, command: Command, _now: float) -> bool:
        _allow(command, 0)
        self.settings.restore()
        return True

    def _begin(self, event: Event, now: float) -> None:
        """Take a step that a command asks for; raises ValueError when it may not."""
        if TRANSITIONS[self.state][event][1] is Act.REFUSE:
            raise ValueError(f"{event.value} while {self.state.value}")
        self._step(event, now)

    def _disturb(self, now: float) -> None:
        if now - self._begun_at >= ABORT_GRACE_S:
            self._step(Event.ABORT, now, Result.NO_CARRIER)

    # Steps

    def _step(self, event: Event, now: float, result: Result | None = None) -> None:
        """Follow the table; `result` is told if that leaves a call or what it was at."""
        former = self.state
        self.state, act = TRANSITIONS[former][event]
        if self.state is not former:
            self._dials_at = self._timeout_at = inf
            self._escape = None
            if result is not None and former not in _ON_HOOK:
                self._tell(result)
        if act is Act.HANG_UP:
            self._leave()
        elif act is Act.CONNECT:
            self._go_online(former, now)
        elif act in (Act.DIAL, Act.ANSWER):
            self._begun_at = now
            self._timeout_at = now + self.settings.register(Register.CARRIER_WAIT)
            if act is Act.ANSWER:
                self._effects.append(Answer())
        elif act is Act.RING:
            self._take_ring(former, now)

    def _leave(self) -> None:
        self._held.clear()
        self._effects.append(HangUp())
        if self._shows_carrier:
            self._shows_carrier = False
            self._effects.append(Carrier(on=False))

    def _go_online(self, former: State, now: float) -> None:
        self._escape = Escape(self.settings.register(Register.ESCAPE), self.settings.guard_s, now)
        self._tell(Result.CONNECT)
        if former in CALLING and self.settings["&C"]:
            self._shows_carrier = True
            self._effects.append(Carrier(on=True))
        if self._held:
            self._effects.append(ToTerminal(bytes(self._held)))
            self._held.clear()

    def _take_ring(self, former: State, now: float) -> None:
        rings = self.settings.register(Register.RINGS) if former is State.RINGING else 0
        self.settings.set_register(Register.RINGS, min(rings + 1, _RINGS_LIMIT))
        self._timeout_at = now + RINGING_ENDS_S
        self._tell(Result.RING)

    # What it says

    def _tell(self, result: Result) -> None:
        words = result.words
        if result is Result.CONNECT and self.settings["X"]:
            words = f"{words} {self._speed}"
        self._effects.append(Answered(words))
        if self.settings["Q"]:
            return
        if self.settings["V"]:
            self._show(words)
        else:
            self._effects.append(ToTerminal(str(result.number).encode() + self._end_of_line[:1]))

    def _show(self, text: str) -> None:
        start = self._end_of_line if self.settings["V"] else b""
        self._effects.append(ToTerminal(start + text.encode() + self._end_of_line))

    @property
    def _end_of_line(self) -> bytes:
        registers = (Register.END, Register.LINE_FEED)
        return bytes(self.settings.register(register) for register in registers)


def _allow(command: Command, largest: int) -> None:
    if command.number > largest:
        raise ValueError(f"no such command: {command.name}{command.number}")
