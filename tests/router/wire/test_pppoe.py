"""PPPoE packets, judged by scapy and by octets written out from the RFC."""

import pytest
from scapy.layers.ppp import PPPoE, PPPoED, PPPoED_Tags, PPPoETag

from router.wire.malformed import Malformed
from router.wire.pppoe import (
    ETHERTYPE_DISCOVERY,
    ETHERTYPE_SESSION,
    MRU,
    OVERHEAD,
    Code,
    Packet,
    Tag,
    TagKind,
    value_of,
)

# RFC 2516 appendix B has a PADI and a PADO in pictures; these are their octets.
PADI = "11 09 0000 0004  0101 0000"
PADO = "11 07 0000 0020  0101 0000  0102 0018 476f205265644261636b 202d20 65736873686573686f6f74"

CODES = [(Code.PADI, 9), (Code.PADO, 7), (Code.PADR, 25), (Code.PADS, 101), (Code.PADT, 167)]


def octets(text: str) -> bytes:
    return bytes.fromhex(text.replace(" ", ""))


def parsed(data: bytes) -> Packet:
    packet = Packet.parse(data)
    assert isinstance(packet, Packet)
    return packet


def test_the_examples_of_the_rfc() -> None:
    padi, pado = parsed(octets(PADI)), parsed(octets(PADO))
    assert (padi.code, padi.session) == (Code.PADI, 0)
    assert Tag.parse_all(padi.payload) == (Tag(TagKind.SERVICE_NAME, b""),)
    assert Tag.parse_all(pado.payload) == (
        Tag(TagKind.SERVICE_NAME, b""),
        Tag(TagKind.AC_NAME, b"Go RedBack - eshsheshoot"),
    )
    assert [padi.build(), pado.build()] == [octets(PADI), octets(PADO)]


@pytest.mark.parametrize(("code", "number"), CODES)
def test_scapy_reads_what_is_built(code: Code, number: int) -> None:
    tags = (Tag(TagKind.SERVICE_NAME, b"internet"), Tag(TagKind.HOST_UNIQ, b"\0\1\2"))
    seen = PPPoED(Packet(code, 0x1234, Tag.build_all(tags)).build())
    assert (seen.version, seen.type, seen.code, seen.sessionid) == (1, 1, number, 0x1234)
    told = [(tag.tag_type, tag.tag_value) for tag in seen[PPPoED_Tags].tag_list]
    assert told == [(0x0101, b"internet"), (0x0103, b"\0\1\2")]


def test_what_scapy_builds_is_read() -> None:
    kinds = [kind for kind in TagKind if kind is not TagKind.END_OF_LIST]
    tags = [PPPoETag(tag_type=int(kind), tag_value=kind.name.encode()) for kind in kinds]
    packet = parsed(bytes(PPPoED(code=0x65, sessionid=7) / PPPoED_Tags(tag_list=tags)))
    assert (packet.code, packet.session) == (Code.PADS, 7)
    assert Tag.parse_all(packet.payload) == tuple(Tag(k, k.name.encode()) for k in kinds)


def test_a_session_packet_is_as_scapy_builds_it() -> None:
    frame = octets("c021 09 01 0008 12345678")
    assert Packet(Code.SESSION, 7, frame).build() == bytes(PPPoE(sessionid=7) / frame)


def test_the_largest_packet_fills_an_ethernet_frame() -> None:
    assert len(Packet(Code.SESSION, 1, b"\0\x21" + bytes(MRU)).build()) == MRU + OVERHEAD == 1500


def test_the_types_are_those_of_ethernet() -> None:
    assert (ETHERTYPE_DISCOVERY, ETHERTYPE_SESSION) == (0x8863, 0x8864)


def test_what_is_behind_the_length_is_padding() -> None:
    assert parsed(octets(PADI) + bytes(36)) == parsed(octets(PADI))


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("", Malformed.TRUNCATED),
        ("11 09 0000 00", Malformed.TRUNCATED),
        ("21 09 0000 0000", Malformed.PPPOE_VERSION),
        ("12 09 0000 0000", Malformed.PPPOE_VERSION),
        ("11 09 0000 0001", Malformed.PPPOE_LENGTH),
        ("11 09 0000 ffff 0101 0000", Malformed.PPPOE_LENGTH),
    ],
)
def test_what_is_no_packet(text: str, wrong: Malformed) -> None:
    assert Packet.parse(octets(text)) is wrong


@pytest.mark.parametrize("text", ["01", "0101 00", "0101 0001", "0101 0000 0102 0002 41"])
def test_what_are_no_tags(text: str) -> None:
    assert Tag.parse_all(octets(text)) is Malformed.PPPOE_TAGS


@pytest.mark.parametrize("rest", ["", "0000", "ffff ffff 00", "0102 0001 41"])
def test_the_list_may_have_an_end(rest: str) -> None:
    tags = Tag.parse_all(octets("0101 0000 0000 0000" + rest))
    assert tags == (Tag(TagKind.SERVICE_NAME, b""),)


def test_unknown_tags_are_kept_apart() -> None:
    tags = Tag.parse_all(octets("0120 0002 05d4 0101 0001 41"))
    assert tags == (Tag(0x0120, b"\x05\xd4"), Tag(TagKind.SERVICE_NAME, b"A"))


def test_the_first_of_a_kind_counts() -> None:
    tags = (Tag(1, b""), Tag(2, b"one"), Tag(2, b"two"))
    assert [value_of(tags, kind) for kind in (1, 2, 3)] == [b"", b"one", None]
