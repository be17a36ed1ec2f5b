from itertools import combinations, starmap

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.errors import ConfigError
from router.nat.types import DefaultHost, ForwardRule
from router.rules import conflicts, parse_rules, render
from router.wire.address import Network, parse_address

TCP, UDP = 6, 17
MAIL = parse_address("192.168.1.10")
PHONE = parse_address("192.168.1.20")

GOOD = [
    ("tcp 25 -> 192.168.1.10", ForwardRule(TCP, 25, 25, MAIL, 25)),
    ("tcp 80 -> 192.168.1.10:8080", ForwardRule(TCP, 80, 80, MAIL, 8080)),
    ("udp 5000-5010 -> 192.168.1.20", ForwardRule(UDP, 5000, 5010, PHONE, 5000)),
    ("udp 5000-5010 -> 192.168.1.20:6000-6010", ForwardRule(UDP, 5000, 5010, PHONE, 6000)),
    ("udp 1-65535 -> 192.168.1.20", ForwardRule(UDP, 1, 65535, PHONE, 1)),
    ("default -> 192.168.1.20", DefaultHost(PHONE)),
    (
        "tcp 25 -> 192.168.1.10 from 198.51.100.0/24,203.0.113.7",
        ForwardRule(
            TCP, 25, 25, MAIL, 25, (Network.parse("198.51.100.0/24"), Network.parse("203.0.113.7"))
        ),
    ),
    ("default -> 192.168.1.20 from 0.0.0.0/0", DefaultHost(PHONE, (Network(0, 0),))),
]


def problems(text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parse_rules(text, "f.rules")
    return list(caught.value.problems)


def placed(rule: ForwardRule | DefaultHost, origin: str) -> ForwardRule | DefaultHost:
    if isinstance(rule, DefaultHost):
        return DefaultHost(rule.internal_address, rule.sources, origin)
    return ForwardRule(
        rule.protocol,
        rule.first_port,
        rule.last_port,
        rule.internal_address,
        rule.internal_port,
        rule.sources,
        origin,
    )


@pytest.mark.parametrize(("line", "rule"), GOOD)
def test_a_rule_reads_and_is_written_the_same(line: str, rule: ForwardRule | DefaultHost) -> None:
    assert parse_rules(line, "f.rules") == [placed(rule, "f.rules:1")]
    assert render(rule) == line


@pytest.mark.parametrize(
    "line",
    [
        "tcp\t25\t->\t192.168.1.10\tfrom\t203.0.113.7",
        "  tcp 25->192.168.1.10 from 203.0.113.7/32\r",
        "tcp 25 -> 192.168.1.10:25 from 203.0.113.7 # the mail host",
        "tcp 25-25 -> 192.168.1.10   from   203.0.113.7",
    ],
)
def test_spaces_and_comments_mean_nothing(line: str) -> None:
    sources = (Network.parse("203.0.113.7"),)
    assert parse_rules(line, "f") == [ForwardRule(TCP, 25, 25, MAIL, 25, sources, "f:1")]


def test_spaces_after_the_commas_of_a_list() -> None:
    (rule,) = parse_rules("tcp 25 -> 192.168.1.10 from 10.0.0.0/8 , 203.0.113.7", "f")
    assert rule.sources == (Network.parse("10.0.0.0/8"), Network.parse("203.0.113.7"))


def test_lines_are_counted_with_blank_ones_and_comments() -> None:
    text = "# heading\n\n   \ntcp 25 -> 192.168.1.10\n#\ndefault -> 192.168.1.20\n"
    assert [rule.origin for rule in parse_rules(text, "f")] == ["f:4", "f:6"]


def test_an_empty_file_has_no_rules() -> None:
    assert parse_rules("", "f") == []


EXAMPLES = 'a rule reads "tcp 25 -> 192.168.1.10" or "default -> 192.168.1.30"'

WRONG = [
    ("tcp 25 192.168.1.10", f"'tcp 25 192.168.1.10' has no \"->\"; {EXAMPLES}"),
    ("-> 192.168.1.10", f'before "->" stand a protocol and ports; {EXAMPLES}'),
    ("tcp -> 192.168.1.10", f'before "->" stand a protocol and ports; {EXAMPLES}'),
    ("tcp 25 26 -> 192.168.1.10", f'before "->" stand a protocol and ports; {EXAMPLES}'),
    ("tcp 25 ->", f'no host after "->"; {EXAMPLES}'),
    ("tcp 25 -> :25", f'no host after "->"; {EXAMPLES}'),
    (
        "icmp 25 -> 192.168.1.10",
        '\'icmp\' is not a protocol; allowed are "tcp" and "udp", or "default"',
    ),
    (
        "TCP 25 -> 192.168.1.10",
        '\'TCP\' is not a protocol; allowed are "tcp" and "udp", or "default"',
    ),
    *(
        (
            f"tcp {ports} -> 192.168.1.10",
            f'{ports!r} is not a port from 1 to 65535 or a range such as "5000-5010"',
        )
        for ports in ("smtp", "0", "65536", "0-5", "5-", "-5", "1-2-3", "5-65536", "+5", "٢٥")
    ),
    ("tcp 9-6 -> 192.168.1.10", "'9-6' runs backwards; the range is \"6-9\""),
    (
        "tcp 25 -> 192.168.1.10:smtp",
        "'smtp' is not a port from 1 to 65535 or a range such as \"5000-5010\"",
    ),
    (
        "tcp 25 -> 192.168.1.10:",
        "'' is not a port from 1 to 65535 or a range such as \"5000-5010\"",
    ),
    (
        "tcp 80-89 -> 192.168.1.10:8080",
        "'80-89' counts 10 and '8080' 1; both sides need the same number of ports",
    ),
    (
        "tcp 80 -> 192.168.1.10:8080-8081",
        "'80' counts 1 and '8080-8081' 2; both sides need the same number of ports",
    ),
    ("tcp 25 -> mail", "'mail' is not an IPv4 address such as 192.168.1.1"),
    ("tcp 25 -> 192.168.1.256", "'192.168.1.256' is not an IPv4 address such as 192.168.1.1"),
    ("tcp 25 -> 192.168.1.010", "'192.168.1.010' is not an IPv4 address such as 192.168.1.1"),
    (
        "tcp 25 -> 192.168.1.10 to 1.2.3.4",
        "'to 1.2.3.4' after the host is not \"from\" and a list of networks",
    ),
    (
        "tcp 25 -> 192.168.1.10 from",
        '"from" names no network, such as "198.51.100.0/24,203.0.113.7"',
    ),
    (
        "tcp 25 -> 192.168.1.10 from 198.51.100.1/24",
        "'198.51.100.1/24' has host bits set; the network is 198.51.100.0/24",
    ),
    (
        "tcp 25 -> 192.168.1.10 from 198.51.100.0/33",
        "'198.51.100.0/33' has no prefix length from 0 to 32 after the slash",
    ),
    (
        "tcp 25 -> 192.168.1.10 from 203.0.113.7,",
        "'' is not an IPv4 address such as 192.168.1.1",
    ),
    (
        "tcp 25 -> 192.168.1.10 from 203.0.113.7 always",
        "'203.0.113.7 always' is not an IPv4 address such as 192.168.1.1",
    ),
    (
        "default 25 -> 192.168.1.10",
        '"default" takes no ports; it is every port no other rule names',
    ),
    (
        "default -> 192.168.1.10:25",
        "'192.168.1.10:25' is not an IPv4 address such as 192.168.1.1",
    ),
]


@pytest.mark.parametrize(("line", "sentence"), WRONG, ids=[line for line, _ in WRONG])
def test_each_mistake_has_its_sentence(line: str, sentence: str) -> None:
    assert problems(f"# first\n{line}\n") == [f"f.rules:2: {sentence}"]


def test_every_mistake_of_every_line_is_told_at_once() -> None:
    text = "gre 0 -> nowhere from x,1.2.3.4/8\ntcp 25 -> 192.168.1.10\ndefault -> gone\n"
    assert problems(text) == [
        'f.rules:1: \'gre\' is not a protocol; allowed are "tcp" and "udp", or "default"',
        "f.rules:1: '0' is not a port from 1 to 65535 or a range such as \"5000-5010\"",
        "f.rules:1: 'nowhere' is not an IPv4 address such as 192.168.1.1",
        "f.rules:1: 'x' is not an IPv4 address such as 192.168.1.1",
        "f.rules:1: '1.2.3.4/8' has host bits set; the network is 1.0.0.0/8",
        "f.rules:3: 'gone' is not an IPv4 address such as 192.168.1.1",
    ]


def test_an_overlap_names_both_lines_the_later_first() -> None:
    text = "tcp 85 -> 192.168.1.10\nudp 85 -> 192.168.1.10\ntcp 80-90 -> 192.168.1.20\n"
    assert problems(text) == [
        "f.rules:3: tcp 80-90 overlaps tcp 85 at f.rules:1; a port leads to one host"
    ]


def test_rules_overlap_whatever_their_sources() -> None:
    text = "tcp 25 -> 192.168.1.10 from 10.0.0.0/8\ntcp 25 -> 192.168.1.20 from 172.16.0.0/12"
    assert problems(text) == [
        "f.rules:2: tcp 25 overlaps tcp 25 at f.rules:1; a port leads to one host"
    ]


def test_a_wide_range_is_found_behind_narrow_ones() -> None:
    text = "tcp 1-100 -> 192.168.1.10\ntcp 5 -> 192.168.1.10\ntcp 99-101 -> 192.168.1.10\n"
    assert problems(text) == [
        "f.rules:2: tcp 5 overlaps tcp 1-100 at f.rules:1; a port leads to one host",
        "f.rules:3: tcp 99-101 overlaps tcp 1-100 at f.rules:1; a port leads to one host",
    ]


def test_neighbouring_ranges_do_not_overlap() -> None:
    assert len(parse_rules("tcp 1-5 -> 192.168.1.10\ntcp 6-9 -> 192.168.1.10", "f")) == 2


def test_one_default_host_is_enough() -> None:
    text = "default -> 192.168.1.10\ntcp 25 -> 192.168.1.10\ndefault -> 192.168.1.10"
    assert problems(text) == ["f.rules:3: a second default host; the first is at f.rules:1"]


def test_a_rule_added_later_is_held_against_those_of_the_file() -> None:
    rules = [
        *parse_rules("tcp 25 -> 192.168.1.10", "f"),
        *parse_rules("tcp 25 -> 192.168.1.20", "c"),
    ]
    assert conflicts(rules) == ["c:1: tcp 25 overlaps tcp 25 at f:1; a port leads to one host"]


addresses = st.integers(0, 0xFFFFFFFF)


@st.composite
def networks(draw: st.DrawFn) -> Network:
    prefix = draw(st.integers(0, 32))
    return Network(draw(addresses) & Network(0, prefix).mask, prefix)


source_lists = st.lists(networks(), max_size=4).map(tuple)


@st.composite
def forward_rules(draw: st.DrawFn) -> ForwardRule:
    first, last = sorted((draw(st.integers(1, 65535)), draw(st.integers(1, 65535))))
    internal = draw(st.just(first) | st.integers(1, 65535 - (last - first)))
    protocol = draw(st.sampled_from([TCP, UDP]))
    return ForwardRule(protocol, first, last, draw(addresses), internal, draw(source_lists), "f:1")


default_hosts = st.builds(
    DefaultHost, internal_address=addresses, sources=source_lists, origin=st.just("f:1")
)


@given(forward_rules() | default_hosts)
def test_what_is_written_reads_back(rule: ForwardRule | DefaultHost) -> None:
    assert parse_rules(render(rule), "f") == [rule]


def share_a_port(one: ForwardRule, other: ForwardRule) -> bool:
    return (
        one.protocol == other.protocol
        and one.first_port <= other.last_port
        and other.first_port <= one.last_port
    )


@given(st.lists(forward_rules(), max_size=8))
def test_a_conflict_is_told_exactly_when_two_rules_share_a_port(rules: list[ForwardRule]) -> None:
    assert bool(conflicts(rules)) == any(starmap(share_a_port, combinations(rules, 2)))


fragments = st.sampled_from(
    [
        "tcp",
        "udp",
        "default",
        "25",
        "1-9",
        "->",
        "192.168.1.10",
        ":",
        "from",
        ",",
        "/24",
        "#",
        "\n",
        " ",
    ]
)


@given(
    st.text() | st.lists(fragments, max_size=30).map(" ".join) | st.lists(fragments).map("".join)
)
def test_any_text_gives_rules_or_a_config_error(text: str) -> None:
    try:
        told = [rule.origin for rule in parse_rules(text, "f")]
    except ConfigError as error:
        told = list(error.problems)
    assert all(each.startswith("f:") for each in told)


def test_where_each_host_has_an_address_of_its_own_each_may_have_the_port() -> None:
    text = "tcp 80 -> 198.51.100.9\ntcp 80 -> 198.51.100.10"
    assert len(parse_rules(text, "f", shared=False)) == 2
    with pytest.raises(ConfigError, match=r"f:2: tcp 80 overlaps tcp 80 at f:1"):
        parse_rules(text, "f")
    with pytest.raises(ConfigError, match=r"f:2: tcp 80 overlaps tcp 80-81 at f:1"):
        parse_rules("tcp 80-81 -> 198.51.100.9\ntcp 80 -> 198.51.100.9", "f", shared=False)
