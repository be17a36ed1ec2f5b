"""Who and what has cost how much: dials, time on line, refusals, per LAN host and per rule.

Theory of operation. Dials and time on line are those of the rises, which know who began them and
by which rule. What held a line, and for how long, is a union of stretches, per name: each packet of
a session extends its stretch to when the session would let go, and a fall ends all.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from operator import attrgetter

from router.link.messages import Rise
from router.link.types import PolicyRule

__all__ = ["Costs", "Outcome", "Share"]


@dataclass(frozen=True, slots=True)
class Share:
    """What one host or one rule has caused.

    `up_s` is the time of the rises it began, `held_s` the time it held a line, whoever began it.
    """

    name: str
    dials: int
    up_s: float
    held_s: float
    refused: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """What it would have cost: `rises` are the dials that brought a line, `up_s` their time.

    `held` packets waited for a line and were sent, `lost` ones waited in vain, `refused` ones
    were turned away at once. Who and what dialled most comes first.
    """

    dials: int
    rises: int
    up_s: float
    held: int
    lost: int
    refused: int
    hosts: tuple[Share, ...]
    rules: tuple[Share, ...]


class _Stretches:
    """For how long something was so, by name; what overlaps counts once."""

    def __init__(self) -> None:
        self.total: defaultdict[str, float] = defaultdict(float)
        self._open: dict[str, tuple[float, float]] = {}

    def extend(self, name: str, now: float, until: float) -> None:
        begun_at, ends_at = self._open.get(name, (now, now))
        if ends_at < now:
            self.total[name] += ends_at - begun_at
            begun_at = now
        self._open[name] = (begun_at, max(ends_at, until))

    def end(self, at: float) -> None:
        for name, (begun_at, ends_at) in self._open.items():
            self.total[name] += max(0.0, min(ends_at, at) - begun_at)
        self._open.clear()


class Costs:
    """Adds up as a replay goes on; hosts are told by name."""

    def __init__(self) -> None:
        self._held_by_host, self._held_by_rule = _Stretches(), _Stretches()
        self._refused_by_host: Counter[str] = Counter()
        self._refused_by_rule: Counter[str] = Counter()

    def hold(self, host: str, rule: PolicyRule, now: float, holds_s: float) -> None:
        """Enter that traffic holds a line, for so long if it stays silent from now on."""
        self._held_by_host.extend(host, now, now + holds_s)
        self._held_by_rule.extend(_label(rule), now, now + holds_s)

    def refuse(self, host: str, rule: PolicyRule) -> None:
        """Enter that a packet was turned away."""
        self._refused_by_host[host] += 1
        self._refused_by_rule[_label(rule)] += 1

    def fall(self, at: float) -> None:
        """Enter that the line has fallen."""
        self._held_by_host.end(at)
        self._held_by_rule.end(at)

    def outcome(self, rises: Iterable[Rise], now: float) -> Outcome:
        """Return what all of it was; a line that is still up is counted until now."""
        self.fall(now)
        spans = [(rise, _up_s(rise, now)) for rise in rises]
        by_host = [(rise.trigger.by, up_s) for rise, up_s in spans]
        by_rule = [(rise.trigger.rule or rise.trigger.cause.value, up_s) for rise, up_s in spans]
        return Outcome(
            dials=len(spans),
            rises=sum(rise.up_at is not None for rise, _ in spans),
            up_s=sum(up_s for _, up_s in spans),
            held=sum(rise.held for rise, _ in spans),
            lost=sum(rise.lost for rise, _ in spans),
            refused=self._refused_by_host.total(),
            hosts=_shares(by_host, self._held_by_host.total, self._refused_by_host),
            rules=_shares(by_rule, self._held_by_rule.total, self._refused_by_rule),
        )


def _up_s(rise: Rise, now: float) -> float:
    if rise.up_at is None:
        return 0.0
    return (now if rise.ended_at is None else rise.ended_at) - rise.up_at


def _shares(
    spans: Iterable[tuple[str, float]], held: Mapping[str, float], refused: Mapping[str, int]
) -> tuple[Share, ...]:
    """Return the share of each name, whoever cost most first."""
    dials: Counter[str] = Counter()
    up_s: defaultdict[str, float] = defaultdict(float)
    for name, span_s in spans:
        dials[name] += 1
        up_s[name] += span_s
    shares = (
        Share(name, dials[name], up_s.get(name, 0.0), held.get(name, 0.0), refused.get(name, 0))
        for name in sorted({*dials, *held, *refused})
    )
    return tuple(sorted(shares, key=attrgetter("dials", "up_s", "held_s", "refused"), reverse=True))


def _label(rule: PolicyRule) -> str:
    return f"{rule} ({rule.origin})"
