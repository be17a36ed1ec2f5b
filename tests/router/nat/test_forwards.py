"""Forward rules as an index: where a port leads, who is let in, which ports are spoken for."""

import pytest

from router.nat.forwards import Forwards
from router.nat.types import DefaultHost, ForwardRule
from router.reasons import Reason
from router.wire.address import Endpoint, Network, parse_address
from router.wire.ipv4 import PROTO_TCP, PROTO_UDP

MAIL, WEB = parse_address("192.168.1.10"), parse_address("192.168.1.20")
FRIEND, STRANGER = parse_address("198.51.100.10"), parse_address("192.0.2.9")
FRIENDS = (Network.parse("198.51.100.0/24"), Network.parse("203.0.113.7/32"))
RULES = Forwards(
    [
        ForwardRule(PROTO_TCP, 25, 25, MAIL, 25, FRIENDS),
        ForwardRule(PROTO_TCP, 80, 80, WEB, 8080),
        ForwardRule(PROTO_UDP, 5000, 5010, WEB, 6000),
        DefaultHost(MAIL, FRIENDS),
    ]
)


@pytest.mark.parametrize(
    ("protocol", "port", "remote", "target"),
    [
        (PROTO_TCP, 80, STRANGER, Endpoint(WEB, 8080)),
        (PROTO_TCP, 25, FRIEND, Endpoint(MAIL, 25)),
        (PROTO_TCP, 25, STRANGER, Reason.SOURCE_REFUSED),
        (PROTO_TCP, 25, None, Endpoint(MAIL, 25)),
        (PROTO_TCP, 81, STRANGER, None),
        (PROTO_UDP, 80, STRANGER, None),
        (PROTO_UDP, 4999, STRANGER, None),
        (PROTO_UDP, 5000, STRANGER, Endpoint(WEB, 6000)),
        (PROTO_UDP, 5010, STRANGER, Endpoint(WEB, 6010)),
        (PROTO_UDP, 5011, STRANGER, None),
    ],
)
def test_where_a_port_leads(
    protocol: int, port: int, remote: int | None, target: Endpoint | Reason | None
) -> None:
    assert RULES.target(protocol, port, remote) == target


@pytest.mark.parametrize(
    ("remote", "target"),
    [(FRIEND, Endpoint(MAIL, 99)), (STRANGER, None), (None, Endpoint(MAIL, 99))],
)
def test_where_the_rest_leads(remote: int | None, target: Endpoint | None) -> None:
    assert RULES.default_target(99, remote) == target
    assert Forwards().default_target(99, remote) is None


def test_where_hosts_have_addresses_of_their_own_a_rule_is_its_hosts() -> None:
    rules = Forwards(
        [ForwardRule(PROTO_TCP, 80, 80, host, 80) for host in (MAIL, WEB)] + [DefaultHost(WEB)]
    )
    for host in (MAIL, WEB):
        assert rules.target(PROTO_TCP, 80, STRANGER, host) == Endpoint(host, 80)
    assert rules.target(PROTO_TCP, 80, STRANGER, STRANGER) is None
    assert rules.default_target(9, STRANGER, WEB) == Endpoint(WEB, 9)
    assert rules.default_target(9, STRANGER, MAIL) is None


def test_reserved_ports_are_those_of_the_protocol() -> None:
    assert set(RULES.reserved(PROTO_TCP)) == {25, 80}
    assert set(RULES.reserved(PROTO_UDP)) == set(range(5000, 5011))
    assert set(RULES.reserved(1)) == set()


def test_a_server_speaks_from_its_external_port() -> None:
    assert RULES.external_port(PROTO_TCP, Endpoint(WEB, 8080)) == 80
    assert RULES.external_port(PROTO_UDP, Endpoint(WEB, 6003)) == 5003
    assert RULES.external_port(PROTO_TCP, Endpoint(WEB, 80)) is None


def test_the_first_rule_to_an_endpoint_says_where_it_speaks_from() -> None:
    rules = Forwards([ForwardRule(PROTO_TCP, port, port, WEB, 80) for port in (8000, 80)])
    assert rules.external_port(PROTO_TCP, Endpoint(WEB, 80)) == 8000


@pytest.mark.parametrize(
    ("protocol", "port", "internal", "remote", "leads"),
    [
        (PROTO_TCP, 80, Endpoint(WEB, 8080), STRANGER, True),
        (PROTO_TCP, 80, Endpoint(WEB, 80), STRANGER, False),
        (PROTO_TCP, 80, Endpoint(MAIL, 8080), STRANGER, False),
        (PROTO_TCP, 25, Endpoint(MAIL, 25), STRANGER, False),
        (PROTO_TCP, 25, Endpoint(MAIL, 25), FRIEND, True),
        (PROTO_UDP, 9, Endpoint(MAIL, 9), FRIEND, True),
        (PROTO_UDP, 9, Endpoint(MAIL, 9), STRANGER, False),
    ],
)
def test_whether_a_session_would_still_be_let_in(
    protocol: int, port: int, internal: Endpoint, remote: int, leads: bool
) -> None:
    assert RULES.leads_to(protocol, port, internal, remote) == leads
