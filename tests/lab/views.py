"""The promise of the wire views, for tests to hold them to: all of it lies inside the packet."""

from router.wire.icmpv4 import Icmp
from router.wire.ipv4 import IPv4
from router.wire.malformed import Malformed
from router.wire.tcp import Tcp
from router.wire.transport import parse_transport
from router.wire.udp import Udp


def variants(packet: bytes) -> list[bytes]:
    """`packet` whole, cut before each of its bytes, and with more behind it."""
    cut = [packet[:end] for end in range(len(packet))]
    longer = [packet + more for more in (b"\x00", b"\xff" * 7, packet)]
    return [packet, *cut, *longer]


def parse(packet: bytes, *, quoted: bool = False) -> IPv4 | Malformed:
    """Parse a copy that lies between other bytes, as in a receive buffer, and check the view."""
    before, behind = b"\xaa" * 10, b"\xbb" * 20
    buffer = bytearray(before + packet + behind)
    end = len(before) + len(packet)
    view = IPv4.parse(buffer, len(before), end, quoted=quoted)
    assert buffer == before + packet + behind, "parsing edited the packet"
    if isinstance(view, Malformed):
        return view
    assert len(before) == view.start < view.payload <= view.end <= end
    assert view.payload - view.start == len(view.header) in range(20, 61, 4)
    assert view.end - view.payload == len(view.data)
    assert view.end - view.start == view.total_length or quoted
    options = view.options()
    tight = IPv4.parse(bytearray(packet), 0, len(packet), quoted=quoted)
    assert isinstance(tight, IPv4)
    assert tight.options() == options, "options were read behind the header"
    if not isinstance(options, Malformed):
        assert b"".join(options) == view.header[20:][: sum(map(len, options))]
    assert view.source_routed in (True, False)
    return view


def whole(packet: bytes) -> IPv4:
    """Return the view of a packet that has to parse."""
    view = parse(packet)
    assert isinstance(view, IPv4), view
    return view


def behind(packet: IPv4) -> Tcp | Udp | Icmp | Malformed | None:
    """Parse what is behind an IP header and check that view."""
    view = parse_transport(packet)
    if isinstance(view, Tcp):
        assert packet.payload + 20 <= view.data <= view.end == packet.end
        assert 0 <= view.segment_length <= packet.end - packet.payload
        assert 0 <= view.window_scale <= 14
    if isinstance(view, Udp):
        assert view.length >= 8
        assert view.length <= packet.end - packet.payload or packet.more_fragments
    if isinstance(view, Icmp):
        assert view.is_query + view.is_reply + view.is_error <= 1
    return view
