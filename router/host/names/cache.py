"""Answers that are still true, so that a name that was asked for once raises no line again.

dnsmasq keeps none of them, because each of its queries tells its host and may be answered
differently for another one. Here they may not: the host stays here.

Theory of operation. An answer lives for its `ttl_s`. At most `CACHE_ENTRIES` are kept, none above
`CACHE_BYTES`; a new one takes the place of that which was asked for longest ago.
"""

from collections import OrderedDict
from typing import NamedTuple

from router.host.names.limits import CACHE_BYTES, CACHE_ENTRIES
from router.host.names.questions import Answer, Question

__all__ = ["Cache", "Kept"]


class Kept(NamedTuple):
    """An answer and when it came."""

    answer: Answer
    at: float


class Cache:
    """Answers by question."""

    def __init__(self) -> None:
        self._kept: OrderedDict[Question, Kept] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, question: Question, now: float) -> Kept | None:
        """Return an answer that is still true."""
        kept = self._kept.get(question)
        if kept is None:
            return None
        if now >= kept.at + kept.answer.ttl_s:
            del self._kept[question]
            return None
        self._kept.move_to_end(question)
        return kept

    def put(self, question: Question, answer: Answer, now: float) -> None:
        """Keep an answer, if it may be kept."""
        if answer.ttl_s <= 0 or answer.size > CACHE_BYTES:
            return
        self._kept[question] = Kept(answer, now)
        self._kept.move_to_end(question)
        if len(self._kept) > CACHE_ENTRIES:
            self._kept.popitem(last=False)
