"""One direction of one session as an edit: what to write and what that adds to each checksum."""

import struct

from router.devices import Verdict
from router.wire.address import Endpoint
from router.wire.checksum import MODULUS, delta

__all__ = ["Rewrite"]

_KEY = struct.Struct("!IIHH")  # addresses and ports as they lie in a header without options


class Rewrite:
    """The edit for packets from one endpoint to another, and what has used it.

    `packets`, `bytes` (IP total length) and `last_used` (seconds, as `now`) are kept by the
    cache and by the forwarder alike. `acknowledgment` and `window` are those of the last TCP
    segment with ACK, unscaled; -1 while there was none.
    """

    __slots__ = (
        "acknowledgment",
        "address_delta",
        "address_sum",
        "bytes",
        "header_delta",
        "key",
        "last_used",
        "packets",
        "replacement",
        "transport_delta",
        "verdict",
        "window",
    )

    def __init__(
        self,
        verdict: Verdict,
        before: tuple[Endpoint, Endpoint],
        after: tuple[Endpoint, Endpoint],
        ttl_adjustment: int,
    ) -> None:
        (source, destination), (new_source, new_destination) = before, after
        self.verdict = verdict
        self.key = _KEY.pack(source.address, destination.address, source.port, destination.port)
        self.replacement = _KEY.pack(
            new_source.address, new_destination.address, new_source.port, new_destination.port
        )
        self.address_sum = (source.address + destination.address) % MODULUS
        self.address_delta = delta(self.address_sum, new_source.address + new_destination.address)
        self.header_delta = (self.address_delta + (ttl_adjustment << 8)) % 0xFFFF
        self.transport_delta = (
            self.address_delta
            + delta(source.port + destination.port, new_source.port + new_destination.port)
        ) % 0xFFFF
        self.packets = 0
        self.bytes = 0
        self.last_used = 0.0
        self.acknowledgment = -1
        self.window = 0
