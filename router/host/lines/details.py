"""What there is to know of a line beyond its address, for people and their monitoring.

Most backends know nothing of the kind. One that does is `Detailed`, besides being a `Backend`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

__all__ = ["Detailed", "LineDetails"]


@dataclass(frozen=True, slots=True)
class LineDetails:
    """A line at one instant, and what has been counted since the router's start, rise after rise.

    While it is up, and "" otherwise: `carrier` is what the modem reports of it, `login` the method
    by which we have proved who we are ("" also where nobody asked), `peer` the provider's address;
    `dns` are the name servers it has assigned. `waiting_packets` wait for their turn.

    `frames` are by direction, those that held what they should; `bad_frames`, which came and did
    not, by what is wrong with them; `dropped_packets`, which were to be sent, by why they were not.
    """

    carrier: str
    login: str
    peer: str
    dns: tuple[str, ...]
    waiting_packets: int
    frames: Mapping[str, int]
    bad_frames: Mapping[str, int]
    dropped_packets: Mapping[str, int]


@runtime_checkable
class Detailed(Protocol):
    """A backend that knows details of its line."""

    def details(self) -> LineDetails:
        """Return them; may be called at any time, also while another call is under way."""
        ...
