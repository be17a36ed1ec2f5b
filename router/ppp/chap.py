"""The challenge handshake authentication protocol (RFC 1994): only what proves a password is sent.

Theory of operation. The server challenges with 16 octets never used before, under another
identifier each time, again at each run of the restart timer until it is answered; after
`max_configure` challenges it gives up. A response counts only to the latest challenge, and is
judged once: to a duplicate the same verdict is sent again, since the verdict may have been lost and
nobody gets to try a second password (section 4.1). Once the client has passed it is challenged
again every `again_s`, has to answer as the same user, and may still fail.

The client answers every challenge at any time, the same one in the same way: a verdict may hold a
proof that is of one response only. A verdict counts for the latest challenge, once. Until the first
one comes the response is repeated every `REPEAT_S`, for a server that has passed its client does
not challenge any more and would never know that its yes was lost. One that has not come to a
verdict `PATIENCE_S` after the beginning is given up. When it challenges again later neither is
done: then LCP echoes tell whether it lives.

Where both ends demand a proof, the client could be made to answer its own side's challenge for a
peer who does not know the password. So it is told of the server beside it, and ignores what that
has sent or might have.

What differs between MD5 and MS-CHAPv2 is the `Algorithm`. It holds nothing; all it needs to
know of one challenge and its response is a `Round`.

Left out: reading the name in a challenge, which chooses among several passwords; there is one.
"""

import hashlib
import hmac
from typing import NamedTuple, Protocol

from router.devices import Rng
from router.ppp.exchange import Outcome
from router.ppp.party import NO_ANSWER, Party, draw_octets, user_of
from router.ppp.text import printable, quoted
from router.ppp.types import Demand, Login, Retries
from router.wire import ppp

__all__ = [
    "CHALLENGE_LENGTH",
    "PATIENCE_S",
    "REPEAT_S",
    "Algorithm",
    "ChapClient",
    "ChapServer",
    "Md5",
    "Round",
]

CHALLENGE_LENGTH = 16  # octets: as long as an MD5 digest (section 4.1), and all of MS-CHAPv2's
PATIENCE_S = 60.0  # seconds: twice the ten challenges, 3 s apart, of a server with the defaults
REPEAT_S = 3.0  # seconds: the default of the restart timer (RFC 1661 section 4.6)

_CHALLENGE, _RESPONSE, _SUCCESS, _FAILURE = 1, 2, 3, 4
_UNPROVEN = "it accepts the login but does not prove that it knows the password"


class Round(NamedTuple):
    """One challenge and what was answered; `name` is the client's."""

    identifier: int
    challenge: bytes
    response: bytes
    name: bytes


class Algorithm(Protocol):
    """How a password is proved; `number` is what LCP calls it."""

    @property
    def number(self) -> int:
        """The octet behind the protocol in LCP's option (RFC 1994 section 3)."""
        ...

    def respond(self, identifier: int, challenge: bytes, login: Login, rng: Rng) -> bytes | None:
        """Return the response to a challenge, None if it is not one of this algorithm."""
        ...

    def verify(self, one: Round, password: str) -> bool:
        """Whether the response could be made with this password only, in constant time."""
        ...

    def success(self, one: Round, password: str) -> bytes:
        """Return the message that says yes."""
        ...

    def failure(self, rng: Rng) -> bytes:
        """Return the message that says no."""
        ...

    def check_success(self, one: Round, password: str, message: bytes) -> bool:
        """Whether a server that said yes has proved what this algorithm has servers prove."""
        ...

    def words(self, message: bytes) -> str:
        """Return what a message says to people, printable."""
        ...


class Md5:
    """MD5 over identifier, password and challenge (RFC 1994 section 4.1); messages are text."""

    number = 5

    def respond(self, identifier: int, challenge: bytes, login: Login, rng: Rng) -> bytes | None:  # noqa: ARG002
        """Return the digest."""
        return _md5(identifier, challenge, login.password)

    def verify(self, one: Round, password: str) -> bool:
        """Whether the digest is that of the password."""
        return hmac.compare_digest(_md5(one.identifier, one.challenge, password), one.response)

    def success(self, one: Round, password: str) -> bytes:  # noqa: ARG002
        """Return a friendly word."""
        return b"Login accepted"

    def failure(self, rng: Rng) -> bytes:  # noqa: ARG002
        """Return a refusal, the same for an unknown user and for a wrong password."""
        return b"Login incorrect"

    def check_success(self, one: Round, password: str, message: bytes) -> bool:  # noqa: ARG002
        """Servers prove nothing here."""
        return True

    def words(self, message: bytes) -> str:
        """Return the message itself."""
        return printable(message)


class ChapServer(Party):
    """The side that demands a proof."""

    protocol = ppp.Protocol.CHAP

    def __init__(self, demand: Demand, algorithm: Algorithm, retries: Retries, *, rng: Rng) -> None:
        super().__init__()
        self._demand = demand
        self._algorithm = algorithm
        self._retries = retries
        self._rng = rng
        self._identifier = rng.randrange(0, 256)
        self._challenge = b""
        self._sent = 0  # challenges without an answer
        self._verdict: ppp.Packet | None = None  # on the latest challenge

    def is_own(self, name: bytes, challenge: bytes) -> bool:
        """Whether a challenge is the latest from here, or claims to be from here."""
        return challenge == self._challenge or name == self._demand.name.encode()

    def begin(self, now: float) -> None:
        """Send the first challenge."""
        self._send_challenge(now)

    def receive(self, packet: ppp.Packet, now: float) -> None:
        """Judge the response to the latest challenge, or say again what came of it."""
        if packet.code != _RESPONSE or packet.identifier != self._identifier or not self._sent:
            return
        value = _value_and_name(packet.data)
        if value is None:
            return
        if self._verdict is None and self.outcome is not Outcome.FAILED:
            self._verdict = self._judge(Round(self._identifier, self._challenge, *value), now)
        if self._verdict is not None:
            self._packets.append(self._verdict)

    def _judge(self, one: Round, now: float) -> ppp.Packet:
        user = user_of(one.name)
        password = self._demand.password_of(user) if user else None
        # An unknown user's response is computed too, so that the time tells nothing.
        right = self._algorithm.verify(one, password or "")
        if password is None or not right or self.user not in ("", user):
            self._end(Outcome.FAILED, quoted(one.name))
            return ppp.Packet(_FAILURE, one.identifier, self._algorithm.failure(self._rng))
        self.user = user
        self._end(Outcome.PASSED, "")
        if self._demand.again_s:
            self._deadline = now + self._demand.again_s
        return ppp.Packet(_SUCCESS, one.identifier, self._algorithm.success(one, password))

    def _expire(self, now: float) -> None:
        if self._verdict is not None:
            self._sent = 0
        if self._sent < self._retries.max_configure:
            self._send_challenge(now)
        else:
            self._end(Outcome.FAILED, NO_ANSWER)

    def _send_challenge(self, now: float) -> None:
        self._identifier = (self._identifier + 1) % 256
        self._challenge = draw_octets(self._rng, CHALLENGE_LENGTH)
        self._verdict = None
        self._sent += 1
        name = self._demand.name.encode()
        self._send(_CHALLENGE, self._identifier, _build(self._challenge, name))
        self._deadline = now + self._retries.restart_s


class ChapClient(Party):
    """The side that proves itself; `server` is the one beside it that demands a proof, if any."""

    protocol = ppp.Protocol.CHAP

    def __init__(
        self,
        login: Login,
        algorithm: Algorithm,
        *,
        rng: Rng,
        server: ChapServer | None = None,
    ) -> None:
        super().__init__()
        self._login = login
        self._algorithm = algorithm
        self._rng = rng
        self._server = server
        self._latest: Round | None = None
        self._awaits_verdict = False
        self._gives_up_at = 0.0

    def begin(self, now: float) -> None:
        """Wait for a challenge."""
        self._deadline = self._gives_up_at = now + PATIENCE_S

    def receive(self, packet: ppp.Packet, now: float) -> None:
        """Answer a challenge, take a verdict."""
        if self.outcome is Outcome.FAILED:
            return
        if packet.code == _CHALLENGE:
            self._answer(packet, now)
        elif packet.code in (_SUCCESS, _FAILURE):
            self._take_verdict(packet)

    def _answer(self, packet: ppp.Packet, now: float) -> None:
        value = _value_and_name(packet.data)
        if value is None or self._is_reflected(*value):
            return
        challenge, _name = value
        if self._latest is None or self._latest[:2] != (packet.identifier, challenge):
            response = self._algorithm.respond(packet.identifier, challenge, self._login, self._rng)
            if response is None:
                return
            name = self._login.user.encode()
            self._latest = Round(packet.identifier, challenge, response, name)
            self._awaits_verdict = True
        self._respond(self._latest, now)

    def _respond(self, one: Round, now: float) -> None:
        self._send(_RESPONSE, one.identifier, _build(one.response, one.name))
        if self.outcome is Outcome.PENDING:
            self._deadline = min(now + REPEAT_S, self._gives_up_at)

    def _is_reflected(self, challenge: bytes, name: bytes) -> bool:
        if self._server is None:
            return False
        return name == self._login.user.encode() or self._server.is_own(name, challenge)

    def _take_verdict(self, packet: ppp.Packet) -> None:
        one = self._latest
        if one is None or not self._awaits_verdict or packet.identifier != one.identifier:
            return
        self._awaits_verdict = False
        if packet.code == _FAILURE:
            self._end(Outcome.FAILED, self._algorithm.words(packet.data))
        elif self._algorithm.check_success(one, self._login.password, packet.data):
            self._end(Outcome.PASSED, self._algorithm.words(packet.data))
        else:
            self._end(Outcome.FAILED, _UNPROVEN)

    def _expire(self, now: float) -> None:
        if self._latest is None or now >= self._gives_up_at:
            self._end(Outcome.FAILED, NO_ANSWER)
        else:
            self._respond(self._latest, now)


def _md5(identifier: int, challenge: bytes, password: str) -> bytes:
    data = bytes((identifier,)) + password.encode() + challenge
    return hashlib.md5(data, usedforsecurity=False).digest()  # the protocol's, not our choice


def _build(value: bytes, name: bytes) -> bytes:
    return bytes((len(value),)) + value + name


def _value_and_name(data: bytes) -> tuple[bytes, bytes] | None:
    """Return what a challenge or a response holds; a value has at least one octet."""
    if not data or not data[0] or 1 + data[0] > len(data):
        return None
    return data[1 : 1 + data[0]], data[1 + data[0] :]
