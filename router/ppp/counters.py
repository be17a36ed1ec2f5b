"""What a session counts."""

from dataclasses import dataclass

__all__ = ["Counters"]


@dataclass(slots=True)
class Counters:
    """Since the session was made, over all its connections.

    `malformed`: frames and packets that do not parse. `unexpected`: those whose time has not come
    or is over. `stale`: answers to nothing that was asked. `rejected`: codes and protocols we told
    the peer we do not know, `rejects` those it told us.
    """

    received_frames: int = 0
    sent_frames: int = 0
    malformed: int = 0
    unexpected: int = 0
    stale: int = 0
    rejected: int = 0
    rejects: int = 0
