"""The sections that say who may use a line, for what, when and how much.

Each says what the link cores are told of it.
"""

from functools import cache

from pydantic import Field

from router.config.linevalues import (
    Begin,
    Days,
    End,
    LinkMode,
    Mac,
    MonthDay,
    PolicyAction,
    PolicyMatch,
    Share,
    Threshold,
    UseRight,
)
from router.config.section import Section
from router.config.values import Address, Count, Duration, Name, PositiveDuration, Size
from router.errors import DeviceError
from router.host.filters import compile_filter
from router.link.policy import DEFAULT_RULES
from router.link.types import (
    Allowance,
    BreakerConfig,
    BudgetConfig,
    HostRight,
    PolicyRule,
    Right,
    ScheduleEntry,
    Span,
)

__all__ = [
    "AllowanceSection",
    "BreakerSection",
    "BudgetSection",
    "HostHours",
    "HostSection",
    "PolicySection",
    "ScheduleSection",
    "shipped_rules",
]

_BUDGET = BudgetConfig()
_BREAKER = BreakerConfig()


class _Hours(Section):
    """Hours of the week."""

    days: Days = Field(examples=["mon-fri"])
    begin: Begin = Field(alias="from", examples=["08:00"])
    end: End = Field(alias="to", examples=["18:00"])

    @property
    def span(self) -> Span:
        return Span(self.days, self.begin, self.end)


class HostHours(_Hours):
    """An entry of `schedule` in a `[[host]]`: hours in which it has another right."""

    dial: UseRight = Field(examples=["may-use"])


class HostSection(Section):
    """`[[host]]`: a host by name; `external` is its own address under one-to-one NAT."""

    address: Address | None = None
    mac: Mac | None = None
    name: Name = Field(examples=["mail"])
    external: Address | None = None
    dial: UseRight | None = None
    schedule: tuple[HostHours, ...] = ()

    def told(self, default: Right) -> HostRight:
        """Return what the link cores are told; `default` is for hosts without their own right."""
        exceptions = tuple((hours.span, hours.dial) for hours in self.schedule)
        return HostRight(self.dial or default, self.address, self.mac, self.name, exceptions)


class PolicySection(Section):
    """`[[policy]]`: traffic, and what it may do with the line."""

    match: PolicyMatch = Field(examples=["udp port 123"])
    action: PolicyAction = Field(examples=["ignore"])
    hold: Duration | None = None

    def told(self, origin: str) -> PolicyRule:
        """Return what the link cores are told; `origin` is where the section stands."""
        return PolicyRule(self.match.text, self.match.matches, self.action, self.hold, origin)


@cache
def shipped_rules() -> tuple[PolicyRule, ...]:
    """Return the rules that come after those of the file, compiled.

    Raises DeviceError when this machine cannot run filters.
    """
    try:
        return tuple(
            PolicyRule(rule.text, compile_filter(rule.text), rule.action, rule.hold_s)
            for rule in DEFAULT_RULES
        )
    except ValueError as error:
        raise DeviceError(f"the shipped policy rules: {error}") from None


class AllowanceSection(Section):
    """A table in `[budget]`: `Allowance`, key for key."""

    minutes: Count | None = None
    dials: Count | None = None
    bytes: Size | None = None

    def told(self) -> Allowance:
        """Return what the link cores are told."""
        return Allowance(self.minutes, self.dials, self.bytes)


class BudgetSection(Section):
    """`[budget]`: `BudgetConfig`, key for key."""

    per_hour: AllowanceSection = AllowanceSection()
    per_day: AllowanceSection = AllowanceSection()
    per_month: AllowanceSection = AllowanceSection()
    warn: Share = _BUDGET.warn
    month_day: MonthDay = _BUDGET.month_day

    def told(self) -> BudgetConfig:
        """Return what the link cores are told."""
        return BudgetConfig(
            self.per_hour.told(),
            self.per_day.told(),
            self.per_month.told(),
            self.warn,
            self.month_day,
        )


class BreakerSection(Section):
    """`[breaker]`: `BreakerConfig`, key for key."""

    failures: Threshold = _BREAKER.failures
    useless: Threshold = _BREAKER.useless
    dials_per_hour: Threshold = _BREAKER.dials_per_hour
    rest: PositiveDuration = _BREAKER.rest_s

    def told(self) -> BreakerConfig:
        """Return what the link cores are told."""
        return BreakerConfig(self.failures, self.useless, self.dials_per_hour, self.rest)


class ScheduleSection(_Hours):
    """`[[schedule]]`: hours in which links on demand have a mode; outside of all it is manual."""

    link: LinkMode = Field(examples=["on-demand"])

    def told(self) -> ScheduleEntry:
        """Return what the link cores are told."""
        return ScheduleEntry(self.span, self.link)
