"""PPP in HDLC-like framing, asynchronous (RFC 1662)."""

from dataclasses import dataclass

__all__ = ["Framing"]


@dataclass(frozen=True, slots=True)
class Framing:
    """How frames are sent; the default is what holds before LCP has agreed on anything.

    `accm` is the map of control characters to escape: bit n is octet n (RFC 1662 section 7.1).
    """

    accm: int = 0xFFFFFFFF
    compresses_protocol: bool = False
    compresses_address: bool = False
