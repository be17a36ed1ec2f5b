"""IPv4 addresses and networks as integers, the form in which the cores compare them."""

from typing import NamedTuple

__all__ = ["MAX_PREFIX", "Endpoint", "Network", "format_address", "parse_address"]

MAX_PREFIX = 32  # bits in an IPv4 address (RFC 791, section 3.1)


def parse_address(text: str) -> int:
    """Return the address written as four decimal numbers; raise ValueError saying what is wrong."""
    parts = text.split(".")
    if len(parts) != 4 or not all(_is_octet(part) for part in parts):
        raise ValueError(f"{text!r} is not an IPv4 address such as 192.168.1.1")
    return int.from_bytes(bytes(map(int, parts)), "big")


def _is_octet(text: str) -> bool:
    # A leading zero is refused: some programs read 010 as eight.
    return _is_number(text, digits=3) and str(int(text)) == text and int(text) <= 255


def _is_number(text: str, digits: int) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= digits


def format_address(address: int) -> str:
    """Return the address as four decimal numbers."""
    return ".".join(map(str, address.to_bytes(4, "big")))


class Network(NamedTuple):
    """An IPv4 network: `address` with all host bits zero, and `prefix` length in bits."""

    address: int
    prefix: int

    @property
    def mask(self) -> int:
        """The subnet mask as an integer."""
        return (0xFFFFFFFF << (MAX_PREFIX - self.prefix)) & 0xFFFFFFFF

    @property
    def broadcast(self) -> int:
        """The highest address, the directed broadcast of a subnet (RFC 922)."""
        return self.address | (self.mask ^ 0xFFFFFFFF)

    def __contains__(self, address: object) -> bool:
        return isinstance(address, int) and address & self.mask == self.address

    def __str__(self) -> str:
        return f"{format_address(self.address)}/{self.prefix}"

    @classmethod
    def parse(cls, text: str) -> "Network":
        """Return the network written `a.b.c.d/prefix`, or a single address as a /32.

        Raises ValueError when host bits are set, which is more often a slip than a wish.
        """
        address_text, slash, prefix_text = text.partition("/")
        address = parse_address(address_text)
        prefix = MAX_PREFIX if not slash else _parse_prefix(prefix_text, text)
        network = cls(address, prefix)
        if address & network.mask != address:
            supernet = cls(address & network.mask, prefix)
            raise ValueError(f"{text!r} has host bits set; the network is {supernet}")
        return network


def _parse_prefix(digits: str, text: str) -> int:
    if not (_is_number(digits, digits=2) and int(digits) <= MAX_PREFIX):
        raise ValueError(f"{text!r} has no prefix length from 0 to {MAX_PREFIX} after the slash")
    return int(digits)


class Endpoint(NamedTuple):
    """A transport address: IPv4 address and port, or the query id of ICMP (RFC 5508)."""

    address: int
    port: int

    def __str__(self) -> str:
        return f"{format_address(self.address)}:{self.port}"
