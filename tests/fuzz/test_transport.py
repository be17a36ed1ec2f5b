"""Behind any IPv4 header is nothing, a `Malformed`, or a view whose translation stays inside it.

What was translated back has its endpoints again; right checksums stay right and wrong ones wrong.
"""

import struct

import pytest
from hypothesis import given

from router.wire.address import Endpoint
from router.wire.ipv4 import IPv4
from router.wire.malformed import Malformed
from router.wire.tcp import Tcp, build_reset
from router.wire.transport import complete_checksum, translate
from tests.fuzz.inputs import CORPUS, anything
from tests.lab.packets import wrong_checksums
from tests.lab.views import behind, parse

SOURCE, DESTINATION = Endpoint(0xCB007102, 61000), Endpoint(0xC633640A, 61000)


def check(packet: bytes) -> None:
    view = parse(packet)
    if isinstance(view, Malformed) or isinstance(behind(view), Malformed):
        return
    before = bytes(view.buffer)
    wrong = wrong_checksums(packet[: view.total_length])
    home = endpoints(view)
    translate(view, SOURCE, DESTINATION)
    after = bytes(view.buffer)
    assert after[: view.start] == before[: view.start]
    assert after[view.end :] == before[view.end :]
    assert len(after) == len(before)
    if set(wrong) <= {"ip"}:  # the other form of zero becomes the usual one
        assert wrong_checksums(after[view.start : view.end]) == []
    elif "ip" not in wrong:
        assert wrong_checksums(after[view.start : view.end]) == wrong
    translate(view, *home)
    assert endpoints(view) == home


def endpoints(view: IPv4) -> tuple[Endpoint, Endpoint]:
    """Read where translation writes, with offsets of our own."""
    source, destination = struct.unpack_from("!II", view.buffer, view.start + 12)
    if view.fragment_offset or view.protocol not in (1, 6, 17):
        return Endpoint(source, 0), Endpoint(destination, 0)
    if view.protocol == 1:
        (query_id,) = struct.unpack_from("!H", view.buffer, view.payload + 4)
        return Endpoint(source, query_id), Endpoint(destination, query_id)
    ports = struct.unpack_from("!HH", view.buffer, view.payload)
    return Endpoint(source, ports[0]), Endpoint(destination, ports[1])


def check_tcp(packet: bytes) -> None:
    view = parse(packet)
    segment = None if isinstance(view, Malformed) else behind(view)
    if not isinstance(segment, Tcp) or not isinstance(view, IPv4):
        return
    assert wrong_checksums(build_reset(view, segment)) == []
    before = bytes(view.buffer)
    segment.clamp_mss(536, partial=True)
    assert view.buffer[: segment.start + 20] == before[: segment.start + 20]
    assert view.buffer[segment.data :] == before[segment.data :]
    if not view.is_fragment:
        complete_checksum(view)
        segment.clamp_mss(9, partial=False)
        assert wrong_checksums(bytes(view.buffer[view.start : view.end])) in ([], ["ip"])


@pytest.mark.parametrize("name", CORPUS)
def test_corpus(name: str) -> None:
    check(CORPUS[name])
    check_tcp(CORPUS[name])


@given(anything)
def test_anything(packet: bytes) -> None:
    check(packet)
    check_tcp(packet)
