"""Any octets, as a PPPoE packet and to either role in every state: nothing raises, nothing odd."""

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from router.ppp.concentrator import Concentrator
from router.ppp.discovery import Discovery, DiscoveryConfig, State
from router.wire.malformed import Malformed
from router.wire.pppoe import NO_SESSION, RESERVED_SESSION, Code, Packet, Tag, TagKind

MACS = [b"\x02\0\0\0\0\x01", b"\x02\0\0\0\0\x02", b"\xff" * 6]
UNIQ = Random(1).randrange(0, 1 << 64).to_bytes(8, "big")

tags = st.lists(
    st.builds(
        Tag,
        st.sampled_from([int(kind) for kind in TagKind]) | st.integers(0, 0xFFFF),
        st.sampled_from([b"", b"internet", UNIQ]) | st.binary(max_size=300),
    ),
    max_size=8,
)
payloads = tags.map(Tag.build_all) | st.binary(max_size=100)
packets = st.builds(
    Packet,
    st.sampled_from([int(code) for code in Code]) | st.integers(0, 255),
    st.sampled_from([0, 7, 0xFFFF]) | st.integers(0, 0xFFFF),
    payloads,
).map(Packet.build)
cut = st.builds(lambda data, at: data[:at] + data[at + 1 :], packets, st.integers(0, 40))
anything = packets | cut | st.binary(max_size=60)


@given(anything, st.binary(max_size=46))
def test_a_packet_is_what_was_built_and_never_more(data: bytes, padding: bytes) -> None:
    packet = Packet.parse(data)
    if isinstance(packet, Malformed):
        return
    assert data.startswith(packet.build())
    assert Packet.parse(packet.build() + padding) == packet


@given(st.binary(max_size=200) | payloads)
def test_tags_are_what_was_built(data: bytes) -> None:
    found = Tag.parse_all(data)
    if not isinstance(found, Malformed):
        assert data.startswith(Tag.build_all(found))
        assert all(tag.kind != TagKind.END_OF_LIST for tag in found)


@given(st.lists(st.tuples(st.sampled_from(MACS), anything | st.none()), max_size=30))
def test_a_host_takes_anything(heard: list[tuple[bytes, bytes | None]]) -> None:
    host = Discovery(DiscoveryConfig(), rng=Random(1))
    host.start(0.0)
    for source, data in heard:
        if data is None:
            host.handle_timer(host.next_deadline() or 0.0)
        else:
            host.receive(source, data, 0.0)
        for to, packet in host.take_packets():
            assert len(packet) <= 1500 or host.state is State.REQUESTING
            assert isinstance(Packet.parse(packet), Packet)
            assert to in MACS
        asks = host.state in (State.DISCOVERING, State.REQUESTING)
        assert asks == (host.next_deadline() is not None)
        assert (host.state is State.CLOSED) == bool(host.why)
        assert host.why.isprintable()
        if host.state is State.OPEN:
            assert host.session not in (NO_SESSION, RESERVED_SESSION)
            assert host.concentrator in MACS[:2]


@given(st.lists(st.tuples(st.sampled_from(MACS), anything), max_size=30))
def test_a_concentrator_takes_anything(heard: list[tuple[bytes, bytes]]) -> None:
    site = Concentrator("ac", rng=Random(1), services=("internet",), limit=2)
    for source, data in heard:
        site.receive(source, data)
        answers = site.take_packets()
        assert len(answers) <= 1
        assert all(to == source for to, _ in answers)
        assert len(site.hosts) <= 2
        for event in site.take_events():
            assert event.session not in (NO_SESSION, RESERVED_SESSION)
