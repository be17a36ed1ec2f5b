"""What a capture of the LAN would have cost on lines that are raised for its traffic."""

from router.replay.conversation import Conversation, held_for, hold_of
from router.replay.costs import Outcome, Share
from router.replay.replay import NoNeighbours, Replay

__all__ = ["Conversation", "NoNeighbours", "Outcome", "Replay", "Share", "held_for", "hold_of"]
