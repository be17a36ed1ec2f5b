"""PPP in HDLC-like framing, asynchronous (RFC 1662).

    octets = Encoder(framing).encode(frames)
    decoder = Decoder(mru)
    frames = decoder.feed(octets)           # as they come, in pieces of any size

Frames are those of `router.wire.ppp`. The encoder adds address and control and shortens, as the
framing allows; the decoder leaves all that as it came, since `ppp.split` reads every form.

An octet costs time here, so none is looked at alone. Escaping is one `replace` for each octet that
has to be; a frame to be unescaped is split at its escapes. The FCS is a CRC with polynomial 0x1021,
lowest bit first. `binascii.crc_hqx` is the same one with the highest bit first, so it is given the
octets mirrored, and what it returns, mirrored octet by octet, is the FCS as it is sent.

Theory of operation of the decoder. What has arrived is cut at the flags; the end, which has no flag
yet, is kept for the next time. What is between two flags is a frame if its FCS is right, nothing if
it is empty, and else counted by what is wrong with it. So whatever noise does, the next flag begins
anew. What is kept is never longer than the longest frame, every octet escaped: beyond that, all
up to the next flag is thrown away. The start counts as a flag, because the peer's first one may
have come while somebody else, a chat script, still read the line.
"""

from binascii import crc_hqx
from collections.abc import Iterable
from dataclasses import dataclass

from router.wire.ppp import ADDRESS_CONTROL, Protocol

__all__ = ["Decoder", "Encoder", "Framing"]

_FLAG = b"\x7e"
_ESCAPE = b"\x7d"
_FLIP = 0x20  # the bit in which an escaped octet differs (RFC 1662 section 4.2)
_CONTROLS = 0x20  # octets that an ACCM has a bit for

_FCS_START = 0xFFFF
_FCS_XOR = 0xFFFF  # what is sent is the complement
_FCS_GOOD = 0x1D0F  # crc_hqx over a frame and its FCS: 0xF0B8 of RFC 1662 appendix C, mirrored
_FCS_LENGTH = 2  # octets
_PROTOCOL_LENGTH = 2  # octets, not compressed

_SHORTEST = 4  # octets with the FCS (RFC 1662 section 4.3)
_LEAST_MRU = 1500  # octets: always to be received, whatever was agreed (RFC 1661 section 6.1)
_AROUND = (
    len(ADDRESS_CONTROL) + _PROTOCOL_LENGTH + _FCS_LENGTH
)  # octets of a frame beside the information

_MIRRORED = bytes(int(f"{octet:08b}"[::-1], 2) for octet in range(256))
_UNESCAPED = [bytes((octet ^ _FLIP,)) for octet in range(256)]
_ESCAPED_ESCAPE = _ESCAPE + _ESCAPE
_LCP = Protocol.LCP.to_bytes(2, "big")


@dataclass(frozen=True, slots=True)
class Framing:
    """How frames are sent; the default is what holds before LCP has agreed on anything.

    `accm` is the map of control characters to escape: bit n is octet n (RFC 1662 section 7.1).
    """

    accm: int = 0xFFFFFFFF
    compresses_protocol: bool = False
    compresses_address: bool = False


class Encoder:
    """Makes octets of frames; holds nothing, so another framing is another encoder."""

    def __init__(self, framing: Framing = Framing()) -> None:
        self._framing = framing
        self._escapes = _escapes(framing.accm)

    def encode(self, frames: Iterable[bytes]) -> bytes:
        """Return the octets of some frames that are sent together.

        A flag between two of them ends the one and begins the other. The first has its own, which
        ends whatever noise there was on the line while nothing was sent.
        """
        encoded = [self._encode(frame) for frame in frames]
        return _FLAG + _FLAG.join(encoded) + _FLAG if encoded else b""

    def _encode(self, frame: bytes) -> bytes:
        if frame.startswith(_LCP):  # it has to be understood whatever the peer believes agreed
            return _escaped(_with_fcs(ADDRESS_CONTROL + frame), _ALL_ESCAPES)
        framing = self._framing
        if framing.compresses_protocol and _is_compressible(frame):
            frame = frame[1:]
        if not framing.compresses_address:
            frame = ADDRESS_CONTROL + frame
        return _escaped(_with_fcs(frame), self._escapes)


class Decoder:
    """Finds frames in octets.

    `mru` is the longest information to be expected. `accm` maps the control characters that are
    none of the peer's, because it would escape its own: they are thrown away wherever they are.
    What is no frame is counted: by a wrong FCS, as broken off by the peer, as longer than can be,
    as shorter than can be.
    """

    def __init__(self, mru: int = _LEAST_MRU, accm: int = 0) -> None:
        self._longest = max(mru, _LEAST_MRU) + _AROUND
        self._longest_escaped = 2 * self._longest
        self._foreign = bytes(_mapped(accm))
        self._rest = b""
        self._is_skipping = False
        self.bad_fcs = 0
        self.aborted = 0
        self.too_long = 0
        self.runts = 0

    def feed(self, data: bytes) -> list[bytes]:
        """Return the frames that these octets complete, without FCS."""
        if self._foreign:
            data = data.translate(None, self._foreign)
        *pieces, self._rest = (self._rest + data).split(_FLAG)
        if pieces and self._is_skipping:
            self._is_skipping = False
            del pieces[0]
        frames = [frame for piece in pieces if piece and (frame := self._frame(piece))]
        self._bound_rest()
        return frames

    def _bound_rest(self) -> None:
        if self._is_skipping:
            self._rest = b""
        elif len(self._rest) > self._longest_escaped:
            self._rest = b""
            self._is_skipping = True
            self.too_long += 1

    def _frame(self, piece: bytes) -> bytes:
        """Return what lies between two flags as a frame, empty if it is none."""
        if len(piece) > self._longest_escaped:
            self.too_long += 1
            return b""
        if _ESCAPE in piece:
            if _ESCAPED_ESCAPE in piece:
                # A run of escapes begins with one, so its pairs are known: each is an octet.
                piece = piece.replace(_ESCAPED_ESCAPE, _UNESCAPED[_ESCAPE[0]])
            if piece.endswith(_ESCAPE):
                self.aborted += 1  # RFC 1662 section 4.3
                return b""
            piece = _unescaped(piece)
        if len(piece) < _SHORTEST:
            self.runts += 1
        elif len(piece) > self._longest:
            self.too_long += 1
        elif crc_hqx(piece.translate(_MIRRORED), _FCS_START) != _FCS_GOOD:
            self.bad_fcs += 1
        else:
            return piece[:-_FCS_LENGTH]
        return b""


def _with_fcs(frame: bytes) -> bytes:
    fcs = crc_hqx(frame.translate(_MIRRORED), _FCS_START) ^ _FCS_XOR
    return frame + fcs.to_bytes(_FCS_LENGTH, "big").translate(_MIRRORED)


def _is_compressible(frame: bytes) -> bool:
    """Whether its protocol goes into one octet, and enough is left to be a frame."""
    return frame[0] == 0 and frame[1] & 1 == 1 and len(frame) > _PROTOCOL_LENGTH


def _mapped(accm: int) -> list[int]:
    return [octet for octet in range(_CONTROLS) if accm >> octet & 1]


def _escapes(accm: int) -> list[tuple[bytes, bytes]]:
    """Return what to replace by what, in this order: the escape is first, since others bring it."""
    octets = [_ESCAPE[0], _FLAG[0], *_mapped(accm)]
    return [(bytes((octet,)), bytes((_ESCAPE[0], octet ^ _FLIP))) for octet in octets]


def _escaped(frame: bytes, escapes: list[tuple[bytes, bytes]]) -> bytes:
    for octet, escaped in escapes:
        frame = frame.replace(octet, escaped)
    return frame


def _unescaped(piece: bytes) -> bytes:
    """Return a piece in which every escape has an octet behind it that is none itself."""
    first, *others = piece.split(_ESCAPE)
    return first + b"".join([_UNESCAPED[part[0]] + part[1:] for part in others])


_ALL_ESCAPES = _escapes(Framing().accm)
