"""The authentication protocols as LCP's option calls them (RFC 1661 section 6.2)."""

from router.ppp.types import Method

__all__ = ["describe", "method_of", "value_of"]

_PAP = b"\xc0\x23"
_CHAP = b"\xc2\x23"

_VALUES = {
    Method.PAP: _PAP,
    Method.CHAP: _CHAP + b"\x05",  # MD5 (RFC 1994 section 3)
    Method.MSCHAPV2: _CHAP + b"\x81",  # RFC 2759 section 3
}
_METHODS = {value: method for method, value in _VALUES.items()}
_NAMES = {
    _PAP: "PAP",
    _VALUES[Method.CHAP]: "CHAP",
    _VALUES[Method.MSCHAPV2]: "MS-CHAPv2",
    _CHAP + b"\x80": "MS-CHAP",  # RFC 2433: broken, not spoken here
    b"\xc2\x27": "EAP",
}
_LONGEST_NAME = 8  # octets of an unknown protocol that are shown


def value_of(method: Method) -> bytes:
    """Return the value of the option that asks for a method."""
    return _VALUES[method]


def method_of(value: bytes) -> Method | None:
    """Return the method a value asks for, None if it is not known here."""
    return _METHODS.get(value)


def describe(value: bytes) -> str:
    """Return what people call what a value asks for."""
    return _NAMES.get(value) or f"protocol {value[:_LONGEST_NAME].hex()}"
