"""A modem at work: between its terminal and the exchange that puts its calls through.

Theory of operation. The modem (`modem`) knows neither time nor descriptors; whatever happens here
is told to it, and then its effects are carried out and one timer is set. When carrier detect goes
off, the terminal finds its end hung up; when the terminal has closed its end, the modem finds it
not ready, and then ready again, as the next one will be.

What is said in commands is written to a log: `> AT...` is the terminal's, `< OK` the modem's.
"""

import asyncio
from collections.abc import Callable
from math import inf
from pathlib import Path
from typing import Protocol

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
from router.lab.terminal import Terminal

__all__ = ["Exchange", "Subscriber"]

_TYPED_AT_ONCE = 256  # octets read from a terminal outside of calls


class Exchange(Protocol):
    """What puts the modem's calls through."""

    def dial(self, number: str) -> None:
        """Call a number, and say what came of it."""
        ...

    def hang_up(self) -> None:
        """End the call, or the attempt."""
        ...

    def room(self) -> int | None:
        """Return how many octets the call takes now, None without one."""
        ...

    def send(self, data: bytes) -> None:
        """Send octets by the call."""
        ...


class Subscriber:
    """Keeps one modem going; made, and called, where the event loop runs."""

    def __init__(self, link: Path, exchange: Exchange, log: Callable[[str], None]) -> None:
        self.modem = Modem()
        self._exchange = exchange
        self._log = log
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._terminal = Terminal(link, room=self._room, receive=self._type, gone=self._let_go)

    # What the exchange says

    def connected(self, speed: int) -> None:
        """Have a carrier."""
        self._tell(lambda now: self.modem.line_connected(speed, now))

    def busy(self) -> None:
        """Find the number engaged."""
        self._tell(self.modem.line_busy)

    def no_answer(self) -> None:
        """Find that nobody answers."""
        self._tell(self.modem.line_no_answer)

    def no_dialtone(self) -> None:
        """Find the line dead."""
        self._tell(self.modem.line_no_dialtone)

    def lost(self) -> None:
        """Find the carrier gone."""
        self._tell(self.modem.line_lost)

    def deliver(self, data: bytes) -> None:
        """Take octets that have come by the call."""
        self._tell(lambda _now: self.modem.from_line(data))

    def go_on(self) -> None:
        """Take octets of the terminal again, because there is room in the call."""
        self._terminal.read()

    @property
    def is_full(self) -> bool:
        """Whether octets should be held back, because the terminal does not read."""
        return self._terminal.is_full

    def close(self) -> None:
        """Have the modem gone."""
        if self._timer is not None:
            self._timer.cancel()
        self._terminal.close()

    # What the terminal does

    def _room(self) -> int:
        room = self._exchange.room()
        return _TYPED_AT_ONCE if room is None else room

    def _type(self, data: bytes) -> None:
        self._tell(lambda now: self.modem.from_terminal(data, now))

    def _let_go(self) -> None:
        self._tell(lambda now: self.modem.dtr(on=False, now=now))
        self._tell(lambda now: self.modem.dtr(on=True, now=now))

    # The modem

    def _tell(self, what: Callable[[float], None]) -> None:
        what(self._loop.time())
        for effect in self.modem.take_effects():
            self._carry_out(effect)
        self._set_timer()

    def _carry_out(self, effect: Effect) -> None:
        match effect:
            case ToTerminal(data):
                self._terminal.write(data)
            case ToLine(data):
                self._exchange.send(data)
            case Dial(number):
                self._exchange.dial(number)
            case HangUp():
                self._exchange.hang_up()
            case Carrier(on):
                if not on:
                    self._terminal.hang_up()
            case Heard(line):
                self._log(f"> {line}")
            case Answered(result):
                self._log(f"< {result}")
            case Answer():
                pass  # nobody calls here: no carrier comes

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        due = self.modem.next_deadline()
        self._timer = None if due == inf else self._loop.call_at(due, self._handle_timer)

    def _handle_timer(self) -> None:
        self._tell(self.modem.handle_timer)
