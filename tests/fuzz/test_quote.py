"""Any ICMP message quotes a `Malformed` or a packet inside it, whose translation stays there."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.wire.address import Endpoint
from router.wire.icmpv4 import build_error, quoted_packet, refresh_checksum
from router.wire.ipv4 import PROTO_ICMP, IPv4
from router.wire.malformed import Malformed
from router.wire.transport import translate
from tests.fuzz.inputs import CORPUS, anything
from tests.lab.packets import VNET_LENGTH, error, frame, with_sum, wrong_checksums
from tests.lab.strategies import error_packets, evil_packets
from tests.lab.views import behind, parse, whole

EXTERNAL, SERVER = Endpoint(0xCB007102, 61000), Endpoint(0xC633640A, 53)


def check(packet: bytes) -> None:
    outer = parse(packet)
    if not isinstance(outer, IPv4) or outer.protocol != PROTO_ICMP or outer.is_fragment:
        return
    if isinstance(behind(outer), Malformed):
        return
    quote = quoted_packet(outer)
    if isinstance(quote, Malformed):
        assert quote in (Malformed.ICMP_CHECKSUM, Malformed.QUOTE)
        return
    assert outer.payload + 8 == quote.start < quote.payload <= quote.end <= outer.end
    before = bytes(outer.buffer)
    translate(quote, EXTERNAL, SERVER)
    refresh_checksum(outer)
    after = bytes(outer.buffer)
    assert after[: outer.payload] == before[: outer.payload]
    assert after[quote.end :] == before[quote.end :]
    assert "icmp" not in wrong_checksums(after[outer.start : outer.end])


def check_quoting(packet: bytes) -> None:
    """Quote any packet in an error; what comes back is the packet as far as it went."""
    about = parse(packet)
    if isinstance(about, Malformed):
        return
    quote = quoted_packet(whole(build_error(1, about, 3, 1)))
    assert isinstance(quote, IPv4)
    assert quote.header == about.header
    assert about.data.startswith(quote.data)


@st.composite
def errors_about_anything(draw: st.DrawFn) -> bytes:
    quote = error("203.0.113.1", frame(draw(anything)), "host-unreachable", destination="192.0.2.1")
    return quote[VNET_LENGTH:]


@st.composite
def evil_errors(draw: st.DrawFn) -> bytes:
    packet = draw(evil_packets(error_packets()))
    at = (packet[0] & 15) * 4 if packet else 0
    return packet[:at] + with_sum(packet[at:]) if len(packet) >= at + 4 else packet


@pytest.mark.parametrize("name", CORPUS)
def test_corpus(name: str) -> None:
    check(CORPUS[name])
    check_quoting(CORPUS[name])
    about = error("203.0.113.1", frame(CORPUS[name]), "time-exceeded", destination="192.0.2.1")
    check(about[VNET_LENGTH:])


@given(anything | errors_about_anything() | evil_errors())
def test_anything(packet: bytes) -> None:
    check(packet)
    check_quoting(packet)
