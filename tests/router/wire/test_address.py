import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.wire.address import Endpoint, Network, format_address, parse_address

ADDRESSES = [
    ("0.0.0.0", 0),  # noqa: S104 - nobody listens here
    ("1.2.3.4", 0x01020304),
    ("192.168.1.1", 0xC0A80101),
    ("255.255.255.255", 0xFFFFFFFF),
]
NO_ADDRESSES = [
    "",
    "1",
    "1.2.3",
    "1.2.3.4.5",
    "1.2.3.",
    ".1.2.3",
    "1..2.3",
    "1.2.3.256",
    "1.2.3.-4",
    "1.2.3.+4",
    "1.2.3.4 ",
    " 1.2.3.4",
    "1.2.3.04",  # eight or four, depending on who reads it
    "1.2.3.0x4",
    "1.2.3.1_0",
    "1.2.3.\u0664",  # a digit to str.isdigit, four to int
    "1.2.3.\u00b2",  # a digit to str.isdigit, nothing to int
    "1.2.3.4/32",
    "::1",
    "host.example",
]
NETWORKS = [
    ("192.168.1.0/24", Network(0xC0A80100, 24), 0xFFFFFF00, 0xC0A801FF),
    ("0.0.0.0/0", Network(0, 0), 0, 0xFFFFFFFF),
    ("10.0.0.0/8", Network(0x0A000000, 8), 0xFF000000, 0x0AFFFFFF),
    ("203.0.113.4/31", Network(0xCB007104, 31), 0xFFFFFFFE, 0xCB007105),
    ("203.0.113.4/32", Network(0xCB007104, 32), 0xFFFFFFFF, 0xCB007104),
    ("203.0.113.4", Network(0xCB007104, 32), 0xFFFFFFFF, 0xCB007104),
]
NO_NETWORKS = [
    ("192.168.1.0/", "no prefix length from 0 to 32"),
    ("192.168.1.0/33", "no prefix length from 0 to 32"),
    ("192.168.1.0/-1", "no prefix length from 0 to 32"),
    ("192.168.1.0/24/24", "no prefix length from 0 to 32"),
    ("192.168.1.0/255.255.255.0", "no prefix length from 0 to 32"),
    ("192.168.1.0/\u0664", "no prefix length from 0 to 32"),
    ("192.168.1/24", "is not an IPv4 address"),
    ("/24", "is not an IPv4 address"),
    ("192.168.1.1/24", "host bits set; the network is 192.168.1.0/24"),
    ("128.0.0.0/0", "host bits set; the network is 0.0.0.0/0"),
]


@pytest.mark.parametrize(("text", "address"), ADDRESSES)
def test_addresses_go_both_ways(text: str, address: int) -> None:
    assert parse_address(text) == address
    assert format_address(address) == text


@pytest.mark.parametrize("text", NO_ADDRESSES)
def test_what_is_no_address_is_named_in_the_error(text: str) -> None:
    with pytest.raises(ValueError, match="is not an IPv4 address such as") as caught:
        parse_address(text)
    assert repr(text) in str(caught.value)


@pytest.mark.parametrize("text", ["9" * 5000 + ".1.1.1", "10.0.0.0/" + "9" * 5000])
def test_a_number_too_long_for_int_is_told_like_any_other(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not an IPv4 address|has no prefix length"):
        Network.parse(text)


@pytest.mark.parametrize(("text", "network", "mask", "broadcast"), NETWORKS)
def test_networks_go_both_ways(text: str, network: Network, mask: int, broadcast: int) -> None:
    assert Network.parse(text) == network
    assert str(network) == (text if "/" in text else f"{text}/32")
    assert (network.mask, network.broadcast) == (mask, broadcast)


@pytest.mark.parametrize(("text", "problem"), NO_NETWORKS)
def test_what_is_no_network_is_explained(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem) as caught:
        Network.parse(text)
    assert repr(text).strip("'").partition("/")[0] in str(caught.value)


@pytest.mark.parametrize(
    ("member", "inside"),
    [
        (parse_address("192.168.1.0"), True),
        (parse_address("192.168.1.255"), True),
        (parse_address("192.168.0.255"), False),
        (parse_address("192.168.2.0"), False),
        ("192.168.1.1", False),
        (None, False),
    ],
)
def test_membership(member: object, inside: bool) -> None:
    assert (member in Network.parse("192.168.1.0/24")) is inside


def test_an_endpoint_reads_as_one_writes_it() -> None:
    assert str(Endpoint(parse_address("192.168.1.11"), 4000)) == "192.168.1.11:4000"


@given(st.integers(0, 0xFFFFFFFF), st.integers(0, 32), st.integers(0, 0xFFFFFFFF))
def test_networks_agree_with_the_standard_library(address: int, prefix: int, other: int) -> None:
    judge = ipaddress.ip_network((address, prefix), strict=False)
    network = Network.parse(str(judge))
    assert str(network) == str(judge)
    assert network.mask == int(judge.netmask)
    assert network.broadcast == int(judge.broadcast_address)
    assert (other in network) is (ipaddress.ip_address(other) in judge)


@given(st.text(alphabet="0123456789./-+_ x\u0664", max_size=20))
def test_whatever_parses_is_what_the_standard_library_reads(text: str) -> None:
    try:
        address = parse_address(text)
    except ValueError:
        with pytest.raises(ipaddress.AddressValueError):
            ipaddress.IPv4Address(text)
    else:
        assert address == int(ipaddress.IPv4Address(text))
