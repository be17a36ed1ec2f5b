"""Microsoft's challenge handshake, version 2 (RFC 2759): both ends prove that they know a password.

The response is DES of the challenge under the NT hash of the password; the server's yes holds a
proof over that response. A client that does not get it hangs up, whoever the server may be.

Names are sent as they are, and only what follows the last backslash is hashed: a domain before it
is for the server to find the user by (section 4).

Left out: changing an expired password (section 7), and trying another one after a failure that
allows it (R=1): the same password would fail again.
"""

import hashlib
import hmac
import re

from Crypto.Cipher import DES
from Crypto.Hash import MD4

from router.devices import Rng
from router.ppp.chap import CHALLENGE_LENGTH, Round
from router.ppp.party import draw_octets
from router.ppp.text import printable
from router.ppp.types import Login

__all__ = [
    "MsChapV2",
    "authenticator_response",
    "challenge_hash",
    "nt_password_hash",
    "nt_response",
]

# Where the parts of a response begin (section 4).
_RESERVED = 16
_NT_RESPONSE = 24
_FLAGS = 48
_RESPONSE_LENGTH = 49

_MAGIC_1 = b"Magic server to client signing constant"  # section 8.7
_MAGIC_2 = b"Pad to make it do more than one iteration"

# Section 6. Version 3 is the one whose passwords may be changed as in section 7.
_FAILURE = "E=691 R=0 C={challenge} V=3 M=Login incorrect"
_ERROR = re.compile(rb"\bE=([0-9]{1,10})\b")
_TEXT = re.compile(rb"(?:^|\s)M=(.*)", re.DOTALL)
_ERRORS = {
    646: "no login at this hour",
    647: "the account is disabled",
    648: "the password has expired",
    649: "no permission to dial in",
    691: "user unknown or password wrong",
    709: "the password could not be changed",
}


class MsChapV2:
    """MS-CHAPv2 as an `Algorithm` of CHAP."""

    number = 0x81

    def respond(self, identifier: int, challenge: bytes, login: Login, rng: Rng) -> bytes | None:  # noqa: ARG002
        """Return a challenge of our own and what proves the password for both."""
        if len(challenge) != CHALLENGE_LENGTH:
            return None
        own = draw_octets(rng, CHALLENGE_LENGTH)
        digest = challenge_hash(own, challenge, login.user.encode())
        proof = nt_response(digest, nt_password_hash(login.password))
        return own + bytes(_NT_RESPONSE - _RESERVED) + proof + b"\0"

    def verify(self, one: Round, password: str) -> bool:
        """Whether the proof is that of the password."""
        expected = nt_response(_digest(one), nt_password_hash(password))
        right = hmac.compare_digest(expected, one.response[_NT_RESPONSE:_FLAGS])
        return right and len(one.response) == _RESPONSE_LENGTH

    def success(self, one: Round, password: str) -> bytes:
        """Return the proof that we know the password too."""
        return _proof(one, password) + b" M=Login accepted"

    def failure(self, rng: Rng) -> bytes:
        """Return a refusal, the same for an unknown user and for a wrong password."""
        challenge = draw_octets(rng, CHALLENGE_LENGTH)  # has to be there, though no retry may be
        return _FAILURE.format(challenge=challenge.hex().upper()).encode()

    def check_success(self, one: Round, password: str, message: bytes) -> bool:
        """Whether the message begins with the server's proof; some write it in small letters."""
        expected = _proof(one, password)
        return hmac.compare_digest(expected, message[: len(expected)].upper())

    def words(self, message: bytes) -> str:
        """Return the text of a message, and an error number as words."""
        found = _TEXT.search(message)
        text = printable(found[1]) if found else ""
        error = _ERROR.search(message[: found.start()] if found else message)
        if error is None:
            return text or ("" if message.startswith(b"S=") else printable(message))
        number = int(error[1])
        cause = f"{_ERRORS.get(number, 'login refused')} (error {number})"
        return f"{cause}: {text}" if text else cause


def nt_password_hash(password: str) -> bytes:
    """Return what Windows keeps of a password (section 8.3)."""
    return _md4(password.encode("utf-16-le"))


def challenge_hash(peer: bytes, authenticator: bytes, name: bytes) -> bytes:
    """Return both challenges and the name without its domain, in 8 octets (section 8.2)."""
    return _sha1(peer, authenticator, name.rpartition(b"\\")[2])[:8]


def nt_response(challenge: bytes, password_hash: bytes) -> bytes:
    """Return the challenge under three keys made of the hash (section 8.5)."""
    keys = password_hash.ljust(21, b"\0")
    return b"".join(
        DES.new(_with_parity(keys[at : at + 7]), DES.MODE_ECB).encrypt(challenge)  # noqa: S304
        for at in (0, 7, 14)
    )


def authenticator_response(challenge: bytes, response: bytes, password_hash: bytes) -> bytes:
    """Return the server's proof, of a `challenge_hash` and an `nt_response` (section 8.7)."""
    digest = _sha1(_sha1(_md4(password_hash), response, _MAGIC_1), challenge, _MAGIC_2)
    return b"S=" + digest.hex().upper().encode()


def _digest(one: Round) -> bytes:
    return challenge_hash(one.response[:_RESERVED], one.challenge, one.name)


def _proof(one: Round, password: str) -> bytes:
    response = one.response[_NT_RESPONSE:_FLAGS]
    return authenticator_response(_digest(one), response, nt_password_hash(password))


def _with_parity(key: bytes) -> bytes:
    """Spread 56 bits over 8 octets; the lowest bit of each is parity, which DES ignores."""
    bits = int.from_bytes(key, "big")
    return bytes(bits >> shift << 1 & 0xFE for shift in range(49, -1, -7))


def _md4(data: bytes) -> bytes:
    return MD4.new(data).digest()  # noqa: S303 - the protocol's choice


def _sha1(*parts: bytes) -> bytes:
    return hashlib.sha1(b"".join(parts), usedforsecurity=False).digest()  # the protocol's choice
