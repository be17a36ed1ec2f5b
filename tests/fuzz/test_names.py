"""Whatever comes to the gate or from a name server is a message or none, and what is read is told.

Noise, and damage done to good messages.
"""

from hypothesis import example, given
from hypothesis import strategies as st

from router.host.names.questions import (
    Query,
    answer_to,
    failure_of,
    packet_of,
    read_answer,
    read_query,
    words_of,
)
from tests.router.host.names.messages import ROUTER, WWW, asked, parsed, question, told

QUERIES = [
    asked(),
    asked(do=True),
    asked(host="2001:db8::1"),
    asked("_ldap._tcp.dc._msdcs.example.test SRV"),
    asked("a\\000b\\.c.example.test TXT"),
    asked(". NS", host=None),
]
ANSWERS = [
    told(WWW, "www.example.test 300 A 192.0.2.1"),
    told(WWW, "www.example.test 9 CNAME a.test.", "a.test 9 A 192.0.2.1"),
    told(WWW, "example.test 9 SOA a.test. b.test. 1 2 3 4 5", rcode="NXDOMAIN"),
    told(WWW, rcode="SERVFAIL"),
]


def damaged(messages: list[bytes]) -> st.SearchStrategy[bytes]:
    """Messages with some octets changed, cut off, or followed by others."""
    changes = st.lists(st.tuples(st.integers(0, 120), st.integers(0, 255)), max_size=4)

    def damage(message: bytes, at: list[tuple[int, int]], length: int, more: bytes) -> bytes:
        octets = bytearray(message)
        for place, value in at:
            octets[place % len(octets)] = value
        return bytes(octets[: len(octets) - length]) + more

    cut = st.sampled_from([0, 0, 0, 1, 7, 20])
    return st.builds(
        damage,
        st.sampled_from(messages),
        changes,
        cut,
        st.sampled_from([b"", b"", b"\0", b"x" * 9]),
    ) | st.binary(max_size=80)


@given(damaged(QUERIES))
@example(b"")
@example(b"\0" * 12)
@example(b"\0\7\1\0\0\1" + b"\0" * 6 + b"\xc0\x0c\0\1\0\1")
def test_any_datagram_at_the_gate(wire: bytes) -> None:
    made = read_query(wire, ROUTER)
    if isinstance(made, bytes):
        assert parsed(made).id == int.from_bytes(wire[:2], "big")
    elif isinstance(made, Query):
        assert parsed(failure_of(made, 2)).id == int.from_bytes(wire[:2], "big")
        assert words_of(made.question, made.host).isprintable()
        packet_of(made.question, made.host, ROUTER)


@given(damaged(ANSWERS))
def test_anything_from_a_name_server(wire: bytes) -> None:
    made = read_answer(wire, question(), 7)
    if made is not None:
        assert made.ttl_s >= 0
        query = read_query(asked(), ROUTER)
        assert isinstance(query, Query)
        for limit in (512, 1232, 65535):
            assert len(answer_to(query, made, age_s=1.5, limit=limit)) <= limit
