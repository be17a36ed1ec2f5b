"""Any option bytes, of IP or of TCP, are read to an end inside the header and never beyond it."""

from hypothesis import given
from hypothesis import strategies as st

from router.wire.ipv4 import IPv4, build, fragment
from router.wire.malformed import Malformed
from router.wire.tcp import Tcp
from router.wire.transport import complete_checksum
from tests.lab.packets import wrong_checksums
from tests.lab.views import behind, whole

_options = st.lists(
    st.one_of(
        st.sampled_from(
            [b"\x00", b"\x01", b"\x02\x04\x05\xb4", b"\x03\x03\x07", b"\x94\x04\x00\x00"]
        ),
        st.builds(
            lambda kind, length, value: bytes([kind, length]) + value,
            st.sampled_from([2, 3, 7, 0x83, 0x89, 0x94]) | st.integers(0, 255),
            st.integers(0, 12) | st.integers(0, 255),
            st.binary(max_size=10),
        ),
    ),
    max_size=12,
)
options = (_options.map(b"".join) | st.binary(max_size=40)).map(
    lambda octets: (octets + bytes(-len(octets) % 4))[:40]
)


@given(options, st.integers(68, 120))
def test_ip_options(octets: bytes, mtu: int) -> None:
    view = whole(build(1, 2, 17, bytes(200), dont_fragment=False, options=octets))
    found = view.options()
    if isinstance(found, Malformed):
        assert view.source_routed, "who knows what a broken option hides"
        found = []
    assert octets.startswith(b"".join(found))
    assert all(len(one) == 1 or len(one) == one[1] for one in found)
    first, *others = [IPv4.parse(bytearray(p), 0, len(p)) for p in fragment(view, mtu)]
    assert isinstance(first, IPv4)
    assert first.header[20:] == octets
    copied = b"".join(one for one in found if one[0] & 0x80)
    for piece in others:
        assert isinstance(piece, IPv4)
        assert piece.header[20:] == copied + bytes(-len(copied) % 4)


@given(options, st.integers(0, 0xFFFF), st.booleans())
def test_tcp_options(octets: bytes, limit: int, partial: bool) -> None:
    header = bytes(12) + bytes([(20 + len(octets)) // 4 << 4, 0x02]) + bytes(6)
    view = whole(build(1, 2, 6, header + octets + b"data"))
    complete_checksum(view)
    segment = behind(view)
    assert isinstance(segment, Tcp)
    before = bytes(view.buffer)
    segment.clamp_mss(limit, partial=partial)
    changed = [
        at for at, pair in enumerate(zip(before, view.buffer, strict=True)) if len({*pair}) > 1
    ]
    covered = range(segment.start + 20, segment.data)
    field = range(segment.start + 16, segment.start + 18)
    assert all(at in covered or at in field for at in changed)
    if not partial:
        assert wrong_checksums(bytes(view.buffer[view.start : view.end])) == []
