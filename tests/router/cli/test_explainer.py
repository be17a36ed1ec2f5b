import pytest

from router.cli.explainer import Explainer
from router.cli.packets import parse_packet
from router.devices import Side
from router.forwarder import ForwarderConfig
from router.nat.types import ForwardRule
from router.routing import RoutingConfig
from router.wire.address import Network, parse_address

LAN = RoutingConfig(parse_address("192.168.1.1"), Network.parse("192.168.1.0/24"))
MAIL = ForwardRule(6, 25, 25, parse_address("192.168.1.10"), 25, origin="forward.rules:1")
OUT = "tcp 192.168.1.11:4000 -> 93.184.216.34:80 flags syn"
BACK = "tcp 93.184.216.34:80 -> 203.0.113.2:4000 flags syn,ack"


@pytest.fixture
def explainer() -> Explainer:
    return Explainer(ForwarderConfig(LAN), [MAIL], parse_address("203.0.113.2"), 1500)


def test_an_outbound_syn_makes_mapping_and_session(explainer: Explainer) -> None:
    told = explainer.explain(parse_packet(OUT), 0)
    assert (told.packet, told.side, told.verdict, told.reason) == (
        OUT,
        "lan",
        "to-wan",
        "new-session",
    )
    assert told.becomes == "tcp 203.0.113.2:4000 -> 93.184.216.34:80 flags syn"
    assert told.mapping is not None
    assert (told.mapping["internal"], told.mapping["external"], told.mapping["kind"]) == (
        "192.168.1.11:4000", "203.0.113.2:4000", "dynamic",
    )  # fmt: skip
    assert told.session is not None
    assert told.session["remote"] == "93.184.216.34:80"


def test_state_carries_over_from_packet_to_packet(explainer: Explainer) -> None:
    alone = explainer.explain(parse_packet(BACK), 0)
    assert (alone.side, alone.verdict, alone.becomes) == ("wan", "dropped", None)
    explainer.explain(parse_packet(OUT), 1)
    told = explainer.explain(parse_packet(BACK), 2)
    assert (told.verdict, told.reason) == ("to-lan", "session")
    assert told.becomes == "tcp 93.184.216.34:80 -> 192.168.1.11:4000 flags syn,ack"
    assert (told.mapping, told.session) == (None, None)


def test_time_moves_with_the_packets(explainer: Explainer) -> None:
    explainer.explain(parse_packet(OUT), 0)
    late = explainer.explain(parse_packet(BACK), 10_000)
    assert late.verdict == "dropped"


def test_a_forward_lets_strangers_in(explainer: Explainer) -> None:
    told = explainer.explain(parse_packet("tcp 198.51.100.7:999 -> 203.0.113.2:25"), 0)
    assert (told.verdict, told.reason) == ("to-lan", "forwarded")
    assert told.becomes == "tcp 198.51.100.7:999 -> 192.168.1.10:25 flags syn"
    assert told.mapping is not None
    assert told.mapping["kind"] == "static"


def test_answers_are_described(explainer: Explainer) -> None:
    told = explainer.explain(parse_packet("udp 192.168.1.11:1 -> 93.184.216.34:33434 ttl 1"), 0)
    assert (told.verdict, told.reason) == ("answered", "ttl-expired")
    assert told.answers == ("icmp 192.168.1.1 -> 192.168.1.11 type 11 code 0, to the LAN",)


def test_the_side_can_be_told(explainer: Explainer) -> None:
    told = explainer.explain(parse_packet(OUT), 0, Side.WAN)
    assert (told.side, told.verdict, told.reason) == ("wan", "dropped", "spoofed")


def test_a_captured_super_packet_is_not_too_big(explainer: Explainer) -> None:
    explainer.explain(parse_packet(OUT), 0)
    explainer.explain(parse_packet(BACK), 0)
    big = parse_packet(OUT.replace("syn", "ack") + " length 20000")
    assert explainer.explain(big, 1).verdict == "to-wan"


def test_the_same_packets_get_the_same_answer() -> None:
    def story() -> list[object]:
        fresh = Explainer(ForwarderConfig(LAN), [], parse_address("203.0.113.2"), 1500)
        hosts = ("192.168.1.11", "192.168.1.12", "192.168.1.13")
        packets = [parse_packet(f"udp {host}:4000 -> 198.51.100.7:53") for host in hosts]
        return [fresh.explain(packet, at) for at, packet in enumerate(packets)]

    assert story() == story()


def test_bytes_that_are_no_packet_are_malformed(explainer: Explainer) -> None:
    told = explainer.explain(b"\x45", 0)
    assert (told.verdict, told.reason) == ("dropped", "malformed")
