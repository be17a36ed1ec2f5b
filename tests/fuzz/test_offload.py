"""Whatever a virtio-net header asks of any packet is refused, or done by segments that fit."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.wire.gso import offload_fits, segment_length, segments
from router.wire.malformed import Malformed
from router.wire.vnet import VNET_HEADER_LENGTH, VnetHeader
from tests.fuzz.inputs import CORPUS, anything
from tests.lab.packets import wrong_checksums
from tests.lab.views import behind, parse

headers = st.binary(min_size=VNET_HEADER_LENGTH, max_size=VNET_HEADER_LENGTH) | st.builds(
    VnetHeader,
    st.integers(0, 3),
    st.sampled_from([0, 1, 3, 4, 5, 0x81]),
    st.integers(0, 100),
    st.integers(0, 100),
    st.sampled_from([20, 20, 24, 60]),
    st.sampled_from([6, 16]),
).map(VnetHeader.write)


def check(packet: bytes, octets: bytes) -> None:
    header = VnetHeader.read(octets)
    assert header.write() == octets
    view = parse(packet)
    if isinstance(view, Malformed) or isinstance(behind(view), Malformed):
        return
    if not offload_fits(view, header):
        return
    length = segment_length(view, header)
    touched = header.partial or header.gso_type
    for piece in segments(view, header):
        assert 20 <= piece.end - piece.start <= length
        if touched and piece is not view:
            assert wrong_checksums(bytes(piece.buffer[piece.start : piece.end])) == []


@pytest.mark.parametrize(
    "octets", ["00" * 10, "0101001e000a14001000", "0105001e000a14000600", "ff" * 10]
)
@pytest.mark.parametrize("name", CORPUS)
def test_corpus(name: str, octets: str) -> None:
    check(CORPUS[name], bytes.fromhex(octets))


@given(anything, headers)
def test_anything(packet: bytes, octets: bytes) -> None:
    check(packet, octets)
