"""No frame on either side makes the forwarder raise, and what it lets through is a packet again."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.devices import Side, Verdict
from router.forwarder import Forwarder, ForwarderConfig
from router.nat.types import DefaultHost
from router.routing import RoutingConfig
from router.wire.address import Network, parse_address
from tests.fuzz.inputs import CORPUS, anything
from tests.fuzz.test_offload import headers
from tests.lab.links import ONE_LINE, a_forwarder, raise_line
from tests.lab.packets import PLAIN, VNET_LENGTH, frame
from tests.lab.views import behind, whole

CONFIG = ForwarderConfig(
    RoutingConfig(parse_address("192.168.1.1"), Network.parse("192.168.1.0/24"), ()), ONE_LINE
)
WAN = "203.0.113.2"
MTUS = [68, 1400]  # bytes: the least there is, where almost everything is cut, and a usual one

_vnet = st.just(PLAIN) | headers
_sides = st.sampled_from(Side)
steps = st.lists(st.tuples(_sides, anything, _vnet, st.floats(0, 100)), min_size=1, max_size=6)


def readdressed(packet: bytes, side: Side) -> bytes:
    """From the line, to the router: what else comes from there is refused at the door."""
    if side is Side.LAN or len(packet) < 20:
        return packet
    changed = bytearray(packet)
    changed[12:20] = packet[16:20] + parse_address(WAN).to_bytes(4)
    total = sum(int.from_bytes(packet[at : at + 2]) for at in range(12, 20, 2))
    total -= sum(int.from_bytes(changed[at : at + 2]) for at in range(12, 20, 2))
    field = (int.from_bytes(packet[10:12]) + total) % 0xFFFF
    changed[10:12] = field.to_bytes(2)
    return bytes(changed)


def run(events: Sequence[tuple[Side, bytes, bytes, float]], mtu: int) -> Forwarder:
    host = DefaultHost(parse_address("192.168.1.11"))
    now = 0.0
    forwarder = a_forwarder(CONFIG, now=now, forwards=(host,))
    raise_line(forwarder, WAN, now=now, mtu=mtu)
    for side, packet, vnet, wait in events:
        now += wait
        deadline = forwarder.next_deadline()
        if deadline is not None and deadline <= now:
            forwarder.handle_timer(now=now)
        buffer = bytearray(frame(readdressed(packet, side), vnet))
        length = len(buffer)
        buffer += bytes(100)
        enter = forwarder.from_lan if side is Side.LAN else forwarder.from_wan
        verdict = forwarder.cache.forward(side, buffer, length, now) or enter(
            buffer, length, now=now
        )
        check(forwarder, verdict, bytes(buffer[:length]))
    return forwarder


def check(forwarder: Forwarder, verdict: Verdict, sent: bytes) -> None:
    effects = forwarder.take_effects()
    frames = [effect.frame for effect in effects]
    assert frames or verdict is not Verdict.ANSWERED
    if verdict in (Verdict.TO_LAN, Verdict.TO_WAN):
        frames.append(sent)
    for one in frames:
        behind(whole(one[VNET_LENGTH:]))


@pytest.mark.parametrize("mtu", MTUS)
def test_the_corpus_from_both_sides(mtu: int) -> None:
    events = [
        (side, packet, PLAIN, 0.1) for packet in CORPUS.values() for side in (*Side, Side.LAN)
    ]
    assert run(events, mtu).session_count


@given(steps, st.sampled_from(MTUS))
def test_anything(events: list[tuple[Side, bytes, bytes, float]], mtu: int) -> None:
    run(events, mtu)
