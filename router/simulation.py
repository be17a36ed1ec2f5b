"""A forwarder in time that somebody else moves: packets go in when told, a provider answers dials.

Theory of operation. What the control side and a backend do for a running router is done here at
once and without a machine: signals of the links go to a `Provider`, which says what it will report
and after how long; those reports and the forwarder's own timers happen in the order of their
instants while `advance` moves time. So a month passes in as long as it takes to compute it.
"""

import heapq
from collections.abc import Iterable
from typing import Protocol

from router.departure import Transmit
from router.devices import Side, Verdict
from router.forwarder import Forwarder
from router.link.messages import Dial, HangUp, Report, Rise, Signal

__all__ = ["Provider", "Simulation"]


class Provider(Protocol):
    """What happens at the other end: reports, each after so many seconds."""

    def dialled(self, dial: Dial) -> Iterable[tuple[float, Report]]:
        """Answer an attempt to raise a link."""
        ...

    def hung_up(self, hang_up: HangUp) -> Iterable[tuple[float, Report]]:
        """Answer the end of a link or of an attempt."""
        ...


class Simulation:
    """One forwarder, one provider, one clock; `rises` has the last that was told of each attempt.

    Instants and spans are seconds. `signals` are all there were, in order.
    """

    def __init__(self, forwarder: Forwarder, provider: Provider, now: float) -> None:
        self.forwarder = forwarder
        self.now = now
        self.signals: list[Signal] = []
        self.rises: dict[tuple[str, int], Rise] = {}
        self._provider = provider
        self._reports: list[tuple[float, int, Report]] = []
        self._serial = 0
        forwarder.lines.begin(now=now)
        self._collect()

    def enter(self, side: Side, frame: bytes) -> list[Transmit]:
        """Let a frame in as a data plane does; return what leaves, in order."""
        buffer, length = bytearray(frame), len(frame)
        verdict = self.forwarder.cache.forward(side, buffer, length, self.now)
        if verdict is Verdict.MISS:
            lan = side is Side.LAN
            enter = self.forwarder.from_lan if lan else self.forwarder.from_wan
            verdict = enter(buffer, length, now=self.now)
        leaving = self._collect()
        if verdict in (Verdict.TO_LAN, Verdict.TO_WAN):
            out = Side.LAN if verdict is Verdict.TO_LAN else Side.WAN
            leaving.insert(0, Transmit(out, bytes(buffer)))
        return leaving

    def report(self, report: Report) -> list[Transmit]:
        """Let a backend report, unasked, now; return what leaves."""
        self.forwarder.lines.report(report, now=self.now)
        return self._collect()

    def advance(self, until: float) -> list[Transmit]:
        """Let everything happen that is due up to an instant; return what leaves, in order."""
        leaving: list[Transmit] = []
        while (due := self._next()) <= until:
            self.now = max(self.now, due)
            if self._reports and self._reports[0][0] <= self.now:
                self.forwarder.lines.report(heapq.heappop(self._reports)[-1], now=self.now)
            else:
                self.forwarder.handle_timer(now=self.now)
            leaving += self._collect()
        self.now = max(self.now, until)
        return leaving + self._collect()

    def _next(self) -> float:
        deadline = self.forwarder.next_deadline()
        of_timers = float("inf") if deadline is None else deadline
        return min(of_timers, self._reports[0][0] if self._reports else of_timers)

    def _collect(self) -> list[Transmit]:
        for signal in self.forwarder.lines.take_signals():
            self.signals.append(signal)
            if isinstance(signal, Rise):
                self.rises[signal.link, signal.attempt] = signal
            elif isinstance(signal, Dial):
                self._expect(self._provider.dialled(signal))
            elif isinstance(signal, HangUp):
                self._expect(self._provider.hung_up(signal))
        return self.forwarder.take_effects()

    def _expect(self, reports: Iterable[tuple[float, Report]]) -> None:
        for delay, report in reports:
            self._serial += 1
            heapq.heappush(self._reports, (self.now + delay, self._serial, report))
