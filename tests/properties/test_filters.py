"""Whatever a filter says, libpcap is never asked for a name that is not one of ports or protocols.

Names end in `.invalid` (RFC 6761), so that a look-up cannot succeed, and libpcap's own words tell
that it has tried.
"""

from hypothesis import given
from hypothesis import strategies as st

from router.host.filters import compile_filter
from tests.properties.profiles import budget

_ITEMS = st.sampled_from(
    [
        "mail.invalid",
        r"\mail.invalid",
        "a-b.invalid",
        "http",
        "80",
        "0x50",
        "192.168.1.1",
        "10.0.0.0/8",
        "1-2",
    ]
)
_TYPES = st.sampled_from(["", "host", "net", "port", "portrange", "proto", "gateway"])
_DIRECTIONS = st.sampled_from(["", "src", "dst", "src or dst", "src and dst"])
_PROTOCOLS = st.sampled_from(["", "tcp", "udp", "ip", "icmp", "arp", "ether", "ip6"])
_WHOLE = st.sampled_from(
    [
        "tcp",
        "inbound",
        "less 100",
        "len > 5",
        "tcp[0] = 1",
        "ip[2:2] & 3 != icmp-echo",
        "ip proto 6",
    ]
)
_qualified = st.tuples(_PROTOCOLS, _DIRECTIONS, _TYPES, _ITEMS).map(" ".join)
_primitives = st.one_of(_qualified, _ITEMS, _WHOLE)
_joints = st.sampled_from([" and ", " or ", "&&", "||", " & ", " | ", " ", " = ", " < "])


def _longer(shorter: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        st.tuples(shorter, _joints, shorter).map("".join),
        shorter.map("({})".format),
        shorter.map("not {}".format),
        st.tuples(_TYPES, shorter).map("{0[0]} ({0[1]})".format),
    )


_sentences = st.recursive(_primitives, _longer, max_leaves=5)
_LOOKED_UP = ("unknown host", "unknown network", "unknown ether host")


@given(_sentences)
@budget(1500)
def test_no_sentence_makes_libpcap_look_up_a_host(text: str) -> None:
    try:
        compile_filter(text)
    except ValueError as refused:
        clause = str(refused)
        assert not any(words in clause for words in _LOOKED_UP), (text, clause)
