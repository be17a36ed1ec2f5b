"""The Internet checksum: RFC 1071 in full, RFC 1624 incrementally.

One's complement addition of 16-bit words is addition modulo 65535, and 2**16 is 1 modulo 65535.
So a whole header read as one big integer, modulo 65535, is the sum of its words, and a *delta*
(what changing some words adds to the sum) is a difference of such integers modulo 65535.

Zero has two forms there, 0x0000 and 0xFFFF. A sum over data that is not all zero is never
0x0000, so a sum that comes out as zero is 0xFFFF and its checksum 0x0000. `update` keeps to
that, which is what RFC 1624 corrected in RFC 1141.
"""

__all__ = [
    "MODULUS",
    "checksum",
    "delta",
    "pseudo_header_sum",
    "update",
    "update_partial",
    "verify",
]

MODULUS = 0xFFFF


def word_sum(data: bytes | bytearray | memoryview) -> int:
    """Return the sum of the 16-bit words of `data` modulo 65535, an odd byte padded (RFC 1071)."""
    value = int.from_bytes(data, "big")
    return (value << 8 if len(data) & 1 else value) % MODULUS


def checksum(data: bytes | bytearray | memoryview, initial: int = 0) -> int:
    """Return the checksum field for `data`, which is not all zero, with its own field zero.

    `initial` is a sum to include, such as that of a pseudo header.
    """
    return MODULUS - ((word_sum(data) + initial) % MODULUS or MODULUS)


def verify(data: bytes | bytearray | memoryview, initial: int = 0) -> bool:
    """Tell whether `data`, checksum field included, sums to minus zero."""
    return (word_sum(data) + initial) % MODULUS == 0


def pseudo_header_sum(source: int, destination: int, protocol: int, length: int) -> int:
    """Return the sum of the TCP and UDP pseudo header (RFC 9293, section 3.1; RFC 768)."""
    return (source + destination + protocol + length) % MODULUS


def delta(old: int, new: int) -> int:
    """Return what replacing `old` by `new` adds to a sum.

    Both are integers of any number of whole 16-bit words at an even offset: an address, a port,
    or a slice of a header.
    """
    return (new - old) % MODULUS


def update(field: int, change: int) -> int:
    """Return a checksum field after `change`, a `delta`, was made to its data (RFC 1624, 3)."""
    total = (field ^ 0xFFFF) + change
    return ((total & 0xFFFF) + (total >> 16)) ^ 0xFFFF


def update_partial(field: int, change: int) -> int:
    """Return a partial checksum field after `change` was made to the pseudo header.

    A virtio-net header with NEEDS_CSUM says that the field holds the sum of the pseudo header,
    not complemented, and that the device completes it over the rest.
    """
    total = field + change
    return (total & 0xFFFF) + (total >> 16)
