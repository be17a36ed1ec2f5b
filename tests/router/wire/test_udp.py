import pytest

from router.wire.malformed import Malformed
from router.wire.udp import Udp
from tests.lab.packets import VNET_LENGTH, fragments, resized, udp
from tests.lab.views import behind, parse, variants, whole

# 192.168.1.11:5353 > 198.51.100.10:53, five bytes of data
QUESTION = bytes.fromhex(
    "45000021 beef4000 3f1190eb c0a8010b c633640a"  # IP: ttl 63, id beef, do not fragment
    "14e90035 000deb90 1234010000"
)
WAY = "192.168.1.11:5353 > 198.51.100.10:53"


def with_length(packet: bytes, length: int) -> bytes:
    return packet[:24] + length.to_bytes(2) + packet[26:]


def test_a_literal_datagram() -> None:
    view = Udp.parse(whole(QUESTION))
    assert isinstance(view, Udp)
    assert (view.source_port, view.destination_port, view.length) == (5353, 53, 13)


def test_at_every_length_a_view_or_a_reason() -> None:
    for data in variants(QUESTION[20:]):
        view = behind(whole(resized(QUESTION, data)))
        if len(data) < 8:
            assert view is Malformed.TRUNCATED
        elif len(data) < 13:
            assert view is Malformed.TRANSPORT_LENGTH
        else:
            assert isinstance(view, Udp)
            assert view.length == 13


@pytest.mark.parametrize(
    ("length", "verdict"),
    [
        (0, Malformed.TRANSPORT_LENGTH),  # means "jumbo" in IPv6, nothing here
        (7, Malformed.TRANSPORT_LENGTH),
        (8, None),
        (12, None),
        (13, None),
        (14, Malformed.TRANSPORT_LENGTH),
        (0xFFFF, Malformed.TRANSPORT_LENGTH),
    ],
)
def test_the_length_field(length: int, verdict: Malformed | None) -> None:
    view = behind(whole(with_length(QUESTION, length)))
    assert isinstance(view, Udp) if verdict is None else view is verdict


def test_the_first_fragment_tells_the_length_of_the_whole() -> None:
    first, *_ = fragments(udp(WAY, bytes(100)), 48)
    view = behind(whole(first[VNET_LENGTH:]))
    assert isinstance(view, Udp)
    assert view.length == 108


def test_a_first_fragment_always_holds_the_whole_header() -> None:
    # Eight bytes are the least a fragment carries, and all that UDP has.
    first, *_ = fragments(udp(WAY, bytes(16)), 8)
    assert isinstance(behind(whole(first[VNET_LENGTH:])), Udp)
    assert parse(resized(first[VNET_LENGTH:], bytes(7))) is Malformed.FRAGMENT
