"""A forwarder and its lines, as tests want them: one line that only the test raises and drops.

forwarder = a_forwarder(config, now=0.0)
raise_line(forwarder, "203.0.113.2", now=0.0)
lose_line(forwarder, now=5.0)
"""

import random
from collections.abc import Sequence
from datetime import UTC
from typing import Any

from router.forwarder import Forwarder, ForwarderConfig
from router.link.calendar import Calendar
from router.link.messages import Addressed, Lost
from router.link.types import LinkConfig, LinksConfig, Mode
from router.nat.types import DefaultHost, ForwardRule
from router.wire.address import parse_address

LINE = LinkConfig("isp", mode=Mode.MANUAL, metered=False, idle_timeout_s=0.0)
ONE_LINE = LinksConfig((LINE,))
PLAIN_TIME = Calendar(UTC, 0.0)


class NoNeighbours:
    def mac_of(self, _address: int) -> str:
        return ""


def a_forwarder(
    config: ForwarderConfig,
    *,
    now: float,
    seed: int = 1,
    forwards: Sequence[ForwardRule | DefaultHost] = (),
    **options: Any,
) -> Forwarder:
    options = {"calendar": PLAIN_TIME, "neighbours": NoNeighbours(), **options}
    forwarder = Forwarder(config, rng=random.Random(seed), now=now, forwards=forwards, **options)
    forwarder.lines.begin(now=now)
    return forwarder


def raise_line(forwarder: Forwarder, address: str | int, *, now: float, mtu: int = 1500) -> None:
    """Have the first link found up with an address, or renumbered if it is up."""
    if isinstance(address, str):
        address = parse_address(address)
    row = forwarder.lines.link_rows(now)[0]
    attempt = row.attempt if row.address else 0
    forwarder.lines.report(Addressed(row.name, attempt, address, mtu), now=now)


def lose_line(forwarder: Forwarder, *, now: float) -> None:
    """Have the first link lost."""
    row = forwarder.lines.link_rows(now)[0]
    forwarder.lines.report(Lost(row.name, row.attempt, "no carrier"), now=now)
