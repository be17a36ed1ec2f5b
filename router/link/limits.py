"""What limits a link by the clock and by its cost: schedule, budget and breaker together.

The schedule gives links on demand their mode of the hour; links of another mode keep theirs. Budget
and breaker are about metered links, and about what is not a person's doing: what people raise
counts in the budget, and neither is stopped by it nor trips the breaker. A line that is raised
again because it was lost in use is nobody's doing, even if a person had raised it before: it is
counted and stopped like what traffic raises. That a permanent line answered nothing is no fault.
"""

from collections.abc import Iterator, Sequence
from math import inf

from router.link.breaker import Breaker
from router.link.budget import Budget, Use
from router.link.calendar import Calendar
from router.link.messages import Rise
from router.link.rows import BudgetRow
from router.link.schedule import Schedule
from router.link.types import Cause, LinkConfig, LinksConfig, Mode

__all__ = ["Limits"]


class Limits:
    """Says what mode a link has and why it may not be raised, and keeps the accounts for it."""

    def __init__(self, config: LinksConfig, calendar: Calendar) -> None:
        self._calendar = calendar
        self._schedule = Schedule(config.schedule)
        self._budget = Budget(config.budget, calendar)
        self._breaker = Breaker(config.breaker)
        self._scheduled: Mode | None = None
        self._scheduled_until = -inf

    def mode(self, link: LinkConfig, now: float) -> Mode:
        """Return the mode of the hour."""
        if now >= self._scheduled_until:
            moment = self._calendar.local(now)
            self._scheduled = self._schedule.mode_at(moment)
            change = self._schedule.next_change(moment)
            self._scheduled_until = inf if change is None else self._calendar.instant(change)
        on_demand = link.mode is Mode.ON_DEMAND
        return self._scheduled if on_demand and self._scheduled is not None else link.mode

    def why_not(self, link: LinkConfig, now: float) -> str:
        """Return why the link is not to be raised but by people, "" if nothing is against it."""
        if self.mode(link, now) is Mode.MANUAL:
            return "only people raise it" if link.mode is Mode.MANUAL else "outside its hours"
        if not link.metered:
            return ""
        exhausted = self._budget.exhausted(now)
        return f"over budget: {exhausted}" if exhausted else self._breaker.blocked(now)

    def must_fall(self, link: LinkConfig, now: float) -> str:
        """Return which allowance a line that is up has used up, "" if none is."""
        why = self._budget.must_fall(now) if link.metered else ""
        return f"over budget: {why}" if why else ""

    def enter(self, link: LinkConfig, rise: Rise, now: float, *, useful: bool) -> None:
        """Account for an attempt that begins, a line that is up, a rise that ends."""
        if not link.metered:
            return
        automatic = rise.trigger.cause.is_automatic
        if rise.ended_at is not None:
            self._budget.line_down(link.name, now)
            if rise.up_at is not None and self._is_for_traffic(link, rise, now):
                self._breaker.ended(now, useful=useful)
            elif automatic and rise.ending is not None and rise.ending.is_failure:
                self._breaker.failed(now)
        elif rise.up_at is not None:
            self._budget.line_up(link.name, now)
        else:
            self._budget.dialled(now)
            if automatic:
                self._breaker.dialled(now)

    def _is_for_traffic(self, link: LinkConfig, rise: Rise, now: float) -> bool:
        """Whether something was to be answered over the line."""
        cause = rise.trigger.cause
        permanent = self.mode(link, now) is Mode.PERMANENT
        return cause is Cause.DEMAND or (cause is Cause.RECONNECT and not permanent)

    def add_bytes(self, link: LinkConfig, count: int, now: float) -> None:
        """Account for what a link has carried."""
        if link.metered:
            self._budget.add_bytes(count, now)

    def reset_breaker(self, now: float) -> None:
        """Let dialling begin anew, because a person dials."""
        self._breaker.reset(now)

    def load(self, uses: Sequence[Use], now: float) -> None:
        """Take what the ledger knows of past use into the budget."""
        self._budget.load(uses, now)

    def set_calendar(self, calendar: Calendar) -> None:
        """Correct civil time."""
        self._calendar = calendar
        self._scheduled_until = -inf
        self._budget.set_calendar(calendar)

    def warnings(self, now: float) -> Iterator[str]:
        """Yield what people should know and have not been told yet."""
        self._breaker.handle_timer(now)
        yield from self._budget.warnings(now)
        if tripped := self._breaker.take_trip():
            yield tripped

    def next_deadline(self, now: float) -> float:
        """Return when one of the answers may change by itself; inf for never."""
        due = (self._budget.next_deadline(now), self._breaker.next_deadline())
        return min([self._scheduled_until, *(each for each in due if each is not None)])

    def budget_rows(self, now: float) -> tuple[BudgetRow, ...]:
        """Return every allowance and how much of it is used."""
        return self._budget.rows(now)
