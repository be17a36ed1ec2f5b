"""The password authentication protocol: the password itself is sent (RFC 1334 section 2).

Theory of operation. The client sends its name and password again at each run of the restart timer,
under another identifier each time, until it is answered or has sent `max_configure` requests. An
answer counts if it is to any of those requests, since on a slow line it may be to one before the
last. The first one decides; answers after it are duplicates.

The server waits as long as a client with the same timer would go on. The first request it can read
decides, and every later one, whatever it holds, is told the same again: the answer may have been
lost, and nobody gets to try a second password (section 2.2.1). A user that is not known costs the
same time and is told the same as a wrong password.

Left out: a number of attempts. A Nak is the end of the link, as the RFC advises.
"""

import hmac
from dataclasses import dataclass, field

from router.devices import Rng
from router.ppp.exchange import Outcome
from router.ppp.party import NO_ANSWER, Party, draw_octets, user_of
from router.ppp.text import printable, quoted
from router.ppp.types import Demand, Login, Retries
from router.wire import ppp

__all__ = ["LONGEST_FIELD", "PapClient", "PapServer"]

LONGEST_FIELD = 255  # octets: the length of a name, a password and a message is one octet

_REQUEST, _ACK, _NAK = 1, 2, 3
_KEY_LENGTH = 32  # octets: as long as the digest (RFC 2104 section 3)
_WELCOME = b"Login accepted"
_REFUSAL = b"Login incorrect"
_HIDDEN = b"..."


@dataclass(frozen=True, slots=True)
class _Credentials:
    name: bytes
    password: bytes = field(repr=False)

    @classmethod
    def parse(cls, data: bytes) -> "_Credentials | None":
        name, rest = _split(data)
        password, _padding = _split(rest)
        if name is None or password is None:
            return None
        return cls(name, password)

    def build(self) -> bytes:
        return _counted(self.name) + _counted(self.password)

    def hidden_in(self, message: bytes) -> bytes:
        """Return what a peer says without the password, which it knows and may repeat."""
        return message.replace(self.password, _HIDDEN) if self.password else message

    @property
    def fits(self) -> bool:
        return max(len(self.name), len(self.password)) <= LONGEST_FIELD


class PapClient(Party):
    """The side that proves itself."""

    protocol = ppp.Protocol.PAP

    def __init__(self, login: Login, retries: Retries, *, rng: Rng) -> None:
        super().__init__()
        self._credentials = _Credentials(login.user.encode(), login.password.encode())
        self._retries = retries
        self._first = rng.randrange(0, 256)
        self._sent = 0

    def begin(self, now: float) -> None:
        """Send the first request."""
        if self._credentials.fits:
            self._request(now)
        else:
            self._end(Outcome.FAILED, f"PAP takes {LONGEST_FIELD} octets of user and of password")

    def receive(self, packet: ppp.Packet, now: float) -> None:  # noqa: ARG002 - no answer sets a timer
        """Take the verdict."""
        if self.outcome is not Outcome.PENDING or packet.code not in (_ACK, _NAK):
            return
        if (packet.identifier - self._first) % 256 >= self._sent:
            return
        outcome = Outcome.PASSED if packet.code == _ACK else Outcome.FAILED
        # Some peers leave out the length of a message they do not have.
        message = packet.data[1 : 1 + packet.data[0]] if packet.data else b""
        self._end(outcome, printable(self._credentials.hidden_in(message)))

    def _expire(self, now: float) -> None:
        if self._sent < self._retries.max_configure:
            self._request(now)
        else:
            self._end(Outcome.FAILED, NO_ANSWER)

    def _request(self, now: float) -> None:
        self._send(_REQUEST, (self._first + self._sent) % 256, self._credentials.build())
        self._sent += 1
        self._deadline = now + self._retries.restart_s


class PapServer(Party):
    """The side that demands a proof."""

    protocol = ppp.Protocol.PAP

    def __init__(self, demand: Demand, retries: Retries, *, rng: Rng) -> None:
        super().__init__()
        self._demand = demand
        self._patience_s = retries.restart_s * retries.max_configure
        self._key = draw_octets(rng, _KEY_LENGTH)

    def begin(self, now: float) -> None:
        """Wait for a request."""
        self._deadline = now + self._patience_s

    def receive(self, packet: ppp.Packet, now: float) -> None:  # noqa: ARG002 - no answer sets a timer
        """Judge the first request, and tell the others the same."""
        if packet.code != _REQUEST:
            return
        credentials = _Credentials.parse(packet.data)
        if credentials is None:
            return
        if self.outcome is Outcome.PENDING:
            self._judge(credentials)
        code, message = (_ACK, _WELCOME) if self.outcome is Outcome.PASSED else (_NAK, _REFUSAL)
        self._send(code, packet.identifier, _counted(message))

    def _judge(self, credentials: _Credentials) -> None:
        user = user_of(credentials.name)
        password = self._demand.password_of(user) if user else None
        right = hmac.compare_digest(
            self._digest(credentials.password), self._digest((password or "").encode())
        )
        if password is not None and right:
            self.user = user
            self._end(Outcome.PASSED, "")
        else:
            self._end(Outcome.FAILED, quoted(credentials.name))

    def _digest(self, password: bytes) -> bytes:
        """Return something of the same length for every password, else its length would show."""
        return hmac.digest(self._key, password, "sha256")

    def _expire(self, now: float) -> None:  # noqa: ARG002 - there is nothing to come
        self._end(Outcome.FAILED, NO_ANSWER)


def _counted(text: bytes) -> bytes:
    return bytes((len(text),)) + text


def _split(data: bytes | None) -> tuple[bytes, bytes] | tuple[None, None]:
    """Return what one octet of length says, and the rest; Nones if it is not all there."""
    if not data or 1 + data[0] > len(data):
        return None, None
    return data[1 : 1 + data[0]], data[1 + data[0] :]
