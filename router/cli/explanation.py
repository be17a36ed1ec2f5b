"""What there is to tell of one packet that was judged offline."""

from dataclasses import dataclass
from typing import Any

__all__ = ["Explanation", "Worth"]


@dataclass(frozen=True, slots=True)
class Worth:
    """What a packet is worth to the line, for its LAN host's right and by a policy rule.

    `raises` is the link that it raises when all are down, "" for none, and `why_not` says why. It
    holds its line for `holds_s` seconds, 0 if it does not, and its session for `answered_holds_s`
    after each packet once it is answered; None is for as long as the session is open. The session
    goes by the rule it was opened by, `held_by`.
    """

    host: str
    right: str
    rule: str
    origin: str
    raises: str
    why_not: str
    holds_s: float | None
    answered_holds_s: float | None
    held_by: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """What became of one packet.

    `verdict` is to-lan, to-wan, dropped, answered or held; `becomes` the packet as it leaves;
    `answers` what the router sends itself, or the packet in pieces; `mapping` and `session` what
    was made for it; `worth` is told of packets for the line, and of those that come in by it and
    open a session. What asks the router's name server may be a question for outside: `question` is
    one in the words of the ledger, and `worth` what that one is.
    """

    packet: str
    side: str
    verdict: str
    reason: str
    sentence: str
    becomes: str | None
    answers: tuple[str, ...]
    mapping: dict[str, Any] | None
    session: dict[str, Any] | None
    question: str | None
    worth: Worth | None
