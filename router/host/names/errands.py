"""Which query waits for what: for leave, for a line, for a name server.

Theory of operation. What one host wants to know of one name is an errand, however often it asks;
each errand gets leave for itself, because hosts have rights of their own. Its state:

| state | event | then |
|---|---|---|
| ASKING: may it? | it may, by a link that is up | SEEKING; `Seek`, unless another errand has |
| | a line is coming | WAITING; if a link has changed meanwhile ASKING again, `Ask` |
| | it may not | over, refused |
| WAITING for a line | a link has changed | ASKING again, `Ask` |
| | it has waited for too long | over, failed |
| SEEKING: name servers are asked | an answer, or none | over |

Errands that seek the same share one answer, which is kept (`cache`); what is kept needs no leave
and no line. Nobody is left without a reply: what is beyond a bound fails at once, so that whoever
asks does not wait. No time-out is needed but that of WAITING, as `Ask` and `Seek` come to an end.

Effects are taken in order by `take_effects`. `now` is monotonic seconds. Who has asked, `asker`, is
whatever a reply is sent to; the same asker with the same id has repeated itself.
"""

from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import NamedTuple

import dns.rcode

from router.host.names.cache import Cache
from router.host.names.limits import ERRANDS, HOST_ERRANDS, JOINED, LONGEST_WAIT_S
from router.host.names.questions import Answer, Query, Question
from router.link.messages import Coming, Ready
from router.reasons import Reason

__all__ = ["Ask", "Counts", "Effect", "Errands", "Key", "Reply", "Seek"]


class Key(NamedTuple):
    """One errand."""

    host: int
    question: Question


class Ask(NamedTuple):
    """Ask the data plane whether it may, and tell by `told`."""

    key: Key
    since: float | None


class Seek(NamedTuple):
    """Ask the name servers of a link, and tell by `found`."""

    question: Question
    link: str


class Reply(NamedTuple):
    """Tell an asker an answer of some age, or why there is none (an rcode)."""

    asker: Hashable
    query: Query
    outcome: Answer | int
    age_s: float = 0.0


Effect = Ask | Seek | Reply


@dataclass
class Counts:
    """What has become of queries."""

    queries: int = 0
    cached: int = 0
    refused: int = 0
    failed: int = 0


class _State(Enum):
    ASKING = auto()
    WAITING = auto()
    SEEKING = auto()


@dataclass
class _Errand:
    begun_at: float
    asked_at: int  # by the count of changes
    state: _State = _State.ASKING
    since: float | None = None
    queries: dict[tuple[Hashable, int], Query] = field(default_factory=dict)


class Errands:
    """Every query under way."""

    def __init__(self) -> None:
        self.counts = Counts()
        self._cache = Cache()
        self._errands: dict[Key, _Errand] = {}
        self._effects: list[Effect] = []
        self._changes = 0

    def take(self, query: Query, asker: Hashable, now: float) -> None:
        """Take a query."""
        self.counts.queries += 1
        kept = self._cache.get(query.question, now)
        if kept is not None:
            self.counts.cached += 1
            self._effects.append(Reply(asker, query, kept.answer, now - kept.at))
            return
        key, one = Key(query.host, query.question), (asker, query.message.id)
        errand = self._errands.get(key)
        if errand is None and self._has_room(query.host):
            errand = self._errands[key] = _Errand(now, self._changes)
            self._effects.append(Ask(key, None))
        if errand is None or (one not in errand.queries and len(errand.queries) >= JOINED):
            self.counts.failed += 1
            self._effects.append(Reply(asker, query, dns.rcode.SERVFAIL))
        else:
            errand.queries[one] = query

    def told(self, key: Key, outcome: Ready | Coming | Reason) -> None:
        """Take what the data plane says of an errand."""
        errand = self._errands.get(key)
        if errand is None or errand.state is not _State.ASKING:
            return
        if isinstance(outcome, Ready):
            if not self._is_sought(key.question):
                self._effects.append(Seek(key.question, outcome.link))
            errand.state = _State.SEEKING
        elif isinstance(outcome, Coming):
            errand.state, errand.since = _State.WAITING, outcome.since
            if errand.asked_at != self._changes:
                self._ask_again(key, errand)
        else:
            self.counts.refused += 1
            never = outcome is Reason.HOST_REFUSED
            self._end(key, dns.rcode.REFUSED if never else dns.rcode.SERVFAIL)

    def changed(self) -> None:
        """Take note that a link is not what it was."""
        self._changes += 1
        for key, errand in self._in(_State.WAITING):
            self._ask_again(key, errand)

    def found(self, question: Question, answer: Answer | None, now: float) -> None:
        """Take what name servers say, None if nothing."""
        if answer is not None:
            self._cache.put(question, answer, now)
        for key, _ in self._in(_State.SEEKING):
            if key.question == question:
                self.counts.failed += answer is None
                self._end(key, dns.rcode.SERVFAIL if answer is None else answer)

    def next_deadline(self) -> float | None:
        """Return when one has waited for too long."""
        waiting = (errand.begun_at for _, errand in self._in(_State.WAITING))
        first = min(waiting, default=None)
        return None if first is None else first + LONGEST_WAIT_S

    def handle_timer(self, now: float) -> None:
        """End what has waited for too long."""
        for key, errand in self._in(_State.WAITING):
            if now >= errand.begun_at + LONGEST_WAIT_S:
                self.counts.failed += 1
                self._end(key, dns.rcode.SERVFAIL)

    def take_effects(self) -> list[Effect]:
        """Return what is to be done, in order, and forget it."""
        effects, self._effects = self._effects, []
        return effects

    @property
    def waiting(self) -> int:
        """How many errands wait for a line."""
        return sum(1 for _ in self._in(_State.WAITING))

    @property
    def under_way(self) -> int:
        """How many errands there are."""
        return len(self._errands)

    def _in(self, state: _State) -> Iterator[tuple[Key, _Errand]]:
        return iter([each for each in self._errands.items() if each[1].state is state])

    def _has_room(self, host: int) -> bool:
        """Whether one more errand of a host leaves room for those of others."""
        its_own = sum(key.host == host for key in self._errands)
        return len(self._errands) < ERRANDS and its_own < HOST_ERRANDS

    def _is_sought(self, question: Question) -> bool:
        return any(key.question == question for key, _ in self._in(_State.SEEKING))

    def _ask_again(self, key: Key, errand: _Errand) -> None:
        errand.state, errand.asked_at = _State.ASKING, self._changes
        self._effects.append(Ask(key, errand.since))

    def _end(self, key: Key, outcome: Answer | int) -> None:
        for (asker, _), query in self._errands.pop(key).queries.items():
            self._effects.append(Reply(asker, query, outcome))
