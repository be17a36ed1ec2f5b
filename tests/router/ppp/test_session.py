"""Sessions: their phases, every way they end, and two of them joined by a wire."""

import hashlib
import random
from itertools import product

import pytest

from router.ppp.session import Session
from router.ppp.text import LONGEST_TEXT
from router.ppp.types import Demand, Echo, End, Login, Method, Opened, Phase, SessionConfig
from tests.lab.ppp import (
    ALICE,
    PASSWORD,
    Rig,
    Wire,
    a_client,
    a_server,
    dotted,
    frame,
    number,
    told,
)

QUIET = Echo(interval_s=0)
PACKET = bytes.fromhex("450000140000000040110000c0a80101c6336401")
LATENCY_S = 0.05  # seconds from one end of the wire to the other


def rig_at(phase: Phase, config: SessionConfig | None = None) -> Rig:
    """One that has come so far without a login; its peer has asked for nothing."""
    rig = Rig(config or a_client(echo=QUIET))
    order = list(Phase)
    steps = [
        "! start\n= establish\n> LCP Configure-Request id=1 accm=00000000 magic=11111111 pfc acfc",
        "< LCP Configure-Ack id=1 accm=00000000 magic=11111111 pfc acfc",
        "< LCP Configure-Request id=1\n= authenticate\n= network\n> LCP Configure-Ack id=1\n"
        "> IPCP Configure-Request id=1 address=0.0.0.0 dns1=0.0.0.0 dns2=0.0.0.0",
    ]
    if phase is not Phase.DEAD:
        for step in steps[: 1 if order.index(phase) < order.index(Phase.NETWORK) else 3]:
            rig.play(step)
    return rig


def opened(config: SessionConfig | None = None) -> Rig:
    """One over which packets go: we are 10.0.0.2, the peer is 10.0.0.1."""
    rig = rig_at(Phase.NETWORK, config)
    rig.play("""
        < IPCP Configure-Request id=1 address=10.0.0.1
        > IPCP Configure-Ack id=1 address=10.0.0.1
        < IPCP Configure-Nak id=1 address=10.0.0.2
        > IPCP Configure-Request id=2 address=10.0.0.2 dns1=0.0.0.0 dns2=0.0.0.0
        < IPCP Configure-Reject id=2 dns1=0.0.0.0 dns2=0.0.0.0
        > IPCP Configure-Request id=3 address=10.0.0.2
        < IPCP Configure-Ack id=3 address=10.0.0.2
        = opened 10.0.0.2 to 10.0.0.1 mtu 1500
    """)
    return rig


def joined(*configs: SessionConfig, seed: int = 1, latency_s: float = LATENCY_S) -> Wire:
    ends = [
        Session(config, rng=random.Random(100 * seed + n), now=0.0)
        for n, config in enumerate(configs)
    ]
    return Wire(ends, latency_s=latency_s)


# Packets


def test_packets_go_while_ipcp_is_open() -> None:
    rig = opened()
    assert rig.session.wrap(PACKET) == b"\x00\x21" + PACKET
    rig.play(f"""
        < IP {PACKET.hex()}
        * {PACKET.hex()}
    """)


@pytest.mark.parametrize("shortened", ["ff030021", "ff0321", "21", "0021"])
def test_packets_come_in_every_shortened_form(shortened: str) -> None:
    assert opened().session.receive(bytes.fromhex(shortened) + PACKET, 1.0) == PACKET


@pytest.mark.parametrize("phase", [Phase.DEAD, Phase.ESTABLISH, Phase.NETWORK])
def test_no_packets_go_before(phase: Phase) -> None:
    rig = rig_at(phase)
    assert rig.session.wrap(PACKET) is None
    assert rig.session.receive(b"\x00\x21" + PACKET, 0.0) is None
    assert rig.session.counters.unexpected == (phase is not Phase.DEAD)


@pytest.mark.parametrize("content", ["", "45", "60" + "00" * 39])
def test_what_is_no_ipv4_packet_does_not_reach_the_network(content: str) -> None:
    rig = opened()
    rig.play(f"< IP {content}")
    assert rig.session.counters.malformed == 1


def test_packets_wait_while_ipcp_is_negotiated_again_and_the_new_address_is_told() -> None:
    rig = opened()
    rig.play("""
        < IPCP Configure-Request id=9 address=10.0.0.9
        > IPCP Configure-Request id=4 address=0.0.0.0 dns1=0.0.0.0 dns2=0.0.0.0
        > IPCP Configure-Ack id=9 address=10.0.0.9
    """)
    assert rig.session.wrap(PACKET) is None
    rig.play("""
        < IPCP Configure-Nak id=4 address=10.0.0.77 dns1=0.0.0.0 dns2=0.0.0.0
        > IPCP Configure-Request id=5 address=10.0.0.77
        < IPCP Configure-Ack id=5 address=10.0.0.77
        = opened 10.0.0.77 to 10.0.0.9 mtu 1500
    """)
    assert rig.session.wrap(PACKET) is not None


# Other protocols


def test_protocols_that_are_not_spoken_are_rejected_one_by_one() -> None:
    rig = opened()
    rig.play("""
        < CCP Configure-Request id=1 26=7800 24=1a04 21=2f
        > LCP Protocol-Reject id=2 protocol=CCP data=0101000f1a04780018041a0415032f
        < IPV6CP Configure-Request id=1 1=0102030405060708
        > LCP Protocol-Reject id=3 protocol=IPV6CP data=0101000e010a0102030405060708
        < VJ 4500
        > LCP Protocol-Reject id=4 protocol=VJ data=4500
        < CHAP Challenge id=1 00
        > LCP Protocol-Reject id=5 protocol=CHAP data=0101000500
    """)
    assert rig.session.counters.rejected == 4


def test_a_rejected_protocol_is_quoted_no_longer_than_the_peer_takes() -> None:
    rig = opened()
    rig.play(f"""
        < 4021 {"ab" * 1600}
        > LCP Protocol-Reject id=2 data=4021{"ab" * 1494}
    """)


@pytest.mark.parametrize(
    "line",
    [
        "CCP Configure-Request id=1 21=2f",
        "IPCP Configure-Request id=1 address=10.0.0.1",
        "CHAP Challenge id=1 00",
        f"IP {PACKET.hex()}",
        "4021 00",
    ],
)
def test_only_lcp_is_heard_before_it_is_open(line: str) -> None:
    rig = rig_at(Phase.ESTABLISH)
    rig.play(f"< {line}")
    assert rig.session.counters.unexpected == 1


def test_only_logins_are_heard_before_they_have_passed() -> None:
    rig = Rig(a_client(Method.PAP, echo=QUIET))
    rig.play(f"""
        ! start
        = establish
        > LCP Configure-Request id=1 accm=00000000 magic=11111111 pfc acfc
        < LCP Configure-Ack id=1 accm=00000000 magic=11111111 pfc acfc
        < LCP Configure-Request id=1 auth=pap
        = authenticate
        > LCP Configure-Ack id=1 auth=pap
        > PAP Authenticate-Request id=0 data=05{b"alice".hex()}0a{b"wonderland".hex()}
        < IPCP Configure-Request id=1 address=10.0.0.1
        < CCP Configure-Request id=1 21=2f
        < CHAP Challenge id=1 00
        < PAP Authenticate-Ack id=0 00
        = network
        > IPCP Configure-Request id=1 address=0.0.0.0 dns1=0.0.0.0 dns2=0.0.0.0
    """)
    assert rig.session.counters.unexpected == 3


# Silence


def test_a_silent_peer_is_asked_ten_times() -> None:
    rig = rig_at(Phase.ESTABLISH)
    again = "+ 3\n> LCP Configure-Request id=1 accm=00000000 magic=11111111 pfc acfc"
    rig.play("\n".join([again] * 9))
    rig.play("""
        + 3
        = dead
        = closed, the peer does not answer
        + 1000
    """)


def test_a_peer_that_only_listens_is_silent_too() -> None:
    rig = rig_at(Phase.ESTABLISH)
    rig.play("""
        + 1
        < LCP Configure-Request id=1
        > LCP Configure-Ack id=1
    """)
    script = ["> LCP Configure-Request id=1 accm=00000000 magic=11111111 pfc acfc"] * 9
    rig.play("\n".join(["+ 27", *script]))
    rig.play("""
        + 2
        = dead
        = closed, the peer does not answer
    """)


def test_a_peer_that_only_answers_does_not_keep_us_for_ever() -> None:
    rig = rig_at(Phase.ESTABLISH)
    for n in range(1, 30):
        rig.play(f"""
            < LCP Configure-Ack id={n} accm=00000000 magic=11111111 pfc acfc
            + 3
            > LCP Configure-Request id={n + 1} accm=00000000 magic=11111111 pfc acfc
        """)
    rig.play("""
        < LCP Configure-Ack id=30 accm=00000000 magic=11111111 pfc acfc
        + 3
        = terminate
        > LCP Terminate-Request id=31 text=no_agreement_with_the_peer
        + 6
        > LCP Terminate-Request id=31 text=no_agreement_with_the_peer
        = dead
        = closed, no agreement with the peer: LCP: 30 requests have come to nothing
    """)


def test_a_peer_that_is_silent_about_addresses() -> None:
    rig = rig_at(Phase.NETWORK)
    asks = "> IPCP Configure-Request id=1 address=0.0.0.0 dns1=0.0.0.0 dns2=0.0.0.0"
    rig.play("\n".join(["+ 27", *[asks] * 9]))
    rig.play("""
        + 3
        = terminate
        > LCP Terminate-Request id=2 text=the_peer_does_not_answer
        < LCP Terminate-Ack id=2
        = dead
        = closed, the peer does not answer: IPCP
    """)


def test_a_deaf_peer_is_asked_four_times_whether_it_lives() -> None:
    opened(a_client(echo=Echo(30.0, 4))).play("""
        + 30
        > LCP Echo-Request id=2 magic=11111111
        + 29
        + 61
        > LCP Echo-Request id=3 magic=11111111
        > LCP Echo-Request id=4 magic=11111111
        > LCP Echo-Request id=5 magic=11111111
        + 30
        = terminate
        > LCP Terminate-Request id=6 text=the_peer_answers_no_echo_requests_any_more
        + 6
        > LCP Terminate-Request id=6 text=the_peer_answers_no_echo_requests_any_more
        = dead
        = closed, the peer answers no echo requests any more
    """)


def test_anything_that_comes_is_a_sign_of_life() -> None:
    opened(a_client(echo=Echo(30.0, 2))).play(f"""
        + 29
        < IP {PACKET.hex()}
        * {PACKET.hex()}
        + 29
        + 1
        > LCP Echo-Request id=2 magic=11111111
        + 30
        > LCP Echo-Request id=3 magic=11111111
        + 29
        < LCP Echo-Reply id=2 0badcafe
        + 29
        + 1
        > LCP Echo-Request id=4 magic=11111111
    """)


def test_a_line_that_is_looped_later_is_told_by_our_own_echo_requests() -> None:
    rig = opened(a_client(echo=Echo(30.0, 4)))
    for n in range(2, 5):
        rig.play(f"""
            + 30
            > LCP Echo-Request id={n} magic=11111111
            < LCP Echo-Request id={n} 11111111
            > LCP Echo-Reply id={n} magic=11111111
        """)
    words = End.LOOPED.value
    rig.play(f"""
        + 30
        > LCP Echo-Request id=5 magic=11111111
        < LCP Echo-Request id=5 11111111
        = terminate
        > LCP Echo-Reply id=5 magic=11111111
        > LCP Terminate-Request id=6 text={words.replace(" ", "_")}
        ! lost
        = dead
        = closed, {words}
    """)


# Hanging up


def test_we_hang_up_in_good_form() -> None:
    opened().play("""
        ! close
        = terminate
        > LCP Terminate-Request id=2
        ! close
        < LCP Terminate-Ack id=2
        = dead
        = closed, hung up by us
    """)


@pytest.mark.parametrize("phase", [Phase.ESTABLISH, Phase.NETWORK])
def test_a_peer_that_does_not_mind_is_told_twice(phase: Phase) -> None:
    rig = rig_at(phase)
    rig.play("""
        ! close
        = terminate
        > LCP Terminate-Request id=2
        + 3
        > LCP Terminate-Request id=2
        + 3
        = dead
        = closed, hung up by us
    """)


def test_the_peer_hangs_up_and_is_given_a_moment() -> None:
    rig = opened()
    rig.play("""
        < LCP Terminate-Request id=8 text=Link_inactive
        = terminate
        > LCP Terminate-Ack id=8
        < LCP Terminate-Request id=9 text=Link_inactive
        > LCP Terminate-Ack id=9
    """)
    assert rig.session.wrap(PACKET) is None
    rig.play("""
        + 3
        = dead
        = closed, hung up by the peer: Link inactive
    """)


def test_the_peer_hangs_up_and_drops_the_carrier() -> None:
    opened().play("""
        < LCP Terminate-Request id=8
        = terminate
        > LCP Terminate-Ack id=8
        + 1
        ! lost
        = dead
        = closed, hung up by the peer
    """)


def test_both_hang_up_at_once() -> None:
    opened().play("""
        ! close
        = terminate
        > LCP Terminate-Request id=2
        < LCP Terminate-Request id=8
        > LCP Terminate-Ack id=8
        < LCP Terminate-Ack id=2
        = dead
        = closed, hung up by us
    """)


def test_a_peer_that_hangs_up_before_anything_is_agreed_is_asked_on_as_the_rfc_has_it() -> None:
    rig = rig_at(Phase.ESTABLISH)
    rig.play("""
        < LCP Terminate-Request id=8 text=No_more_lines
        > LCP Terminate-Ack id=8
    """)
    asks = "> LCP Configure-Request id=1 accm=00000000 magic=11111111 pfc acfc"
    rig.play("\n".join(["+ 27", *[asks] * 9]))
    rig.play("""
        + 3
        = dead
        = closed, hung up by the peer: No more lines
    """)


def test_the_peer_takes_ipcp_down() -> None:
    opened().play("""
        < IPCP Terminate-Request id=8
        > IPCP Terminate-Ack id=8
        + 3
        = terminate
        > LCP Terminate-Request id=2 text=hung_up_by_the_peer
        < LCP Terminate-Ack id=2
        = dead
        = closed, hung up by the peer: IPCP
    """)


@pytest.mark.parametrize("phase", [Phase.ESTABLISH, Phase.NETWORK])
def test_the_carrier_is_lost(phase: Phase) -> None:
    rig = rig_at(phase)
    rig.play("""
        ! lost
        = dead
        = closed, carrier lost
    """)
    assert rig.session.next_deadline() is None


def test_what_the_peer_says_of_itself_is_cut_and_made_printable() -> None:
    rig = opened()
    farewell = b"\x1b[2J" + "Adiós".encode() + b"!" * 1000
    rig.session.receive(frame(f"LCP Terminate-Request id=1 data={farewell.hex()}"), rig.now)
    rig.session.carrier_lost(rig.now)
    closed = told(rig.session.take_events()[-1])
    assert closed.startswith("closed, hung up by the peer: ?[2JAdiós!!!")
    assert len(closed) == len("closed, hung up by the peer: ") + LONGEST_TEXT


def test_closed_it_is_silent_and_deaf_until_it_is_started_again() -> None:
    rig = opened()
    rig.play("""
        ! close
        = terminate
        > LCP Terminate-Request id=2
        < LCP Terminate-Ack id=2
        = dead
        = closed, hung up by us
        < LCP Configure-Request id=1
        < LCP Echo-Request id=1 0badcafe
        < LCP Terminate-Request id=1
        ! close
        ! lost
        + 1000
    """)
    assert (rig.session.wrap(PACKET), rig.session.next_deadline()) == (None, None)
    rig.play("""
        ! start
        = establish
        > LCP Configure-Request id=1 accm=00000000 magic=22222222 pfc acfc
        ! start
        < LCP Configure-Ack id=1 accm=00000000 magic=22222222 pfc acfc
        < LCP Configure-Request id=1 accm=00000000
        = framed 00000000
        = authenticate
        = network
        > LCP Configure-Ack id=1 accm=00000000
        > IPCP Configure-Request id=1 address=0.0.0.0 dns1=0.0.0.0 dns2=0.0.0.0
        ! lost
        = framed ffffffff
        = dead
        = closed, carrier lost
    """)


def test_every_connection_has_other_identifiers() -> None:
    session = Session(SessionConfig(), rng=random.Random(1), now=0.0)
    first = []
    for _ in range(8):
        session.start(0.0)
        first.append(session.take_frames()[0][3])
        session.carrier_lost(0.0)
    assert len(set(first)) > 4


# Negotiated again


def test_lcp_negotiated_again_builds_everything_anew() -> None:
    rig = opened()
    rig.play("""
        < LCP Configure-Request id=8 accm=00000000 magic=0badcafe
        = establish
        > LCP Configure-Request id=2 accm=00000000 magic=22222222 pfc acfc
        > LCP Configure-Ack id=8 accm=00000000 magic=0badcafe
        < IPCP Configure-Request id=5 address=10.0.0.1
    """)
    assert rig.session.wrap(PACKET) is None
    rig.play("""
        < LCP Configure-Ack id=2 accm=00000000 magic=22222222 pfc acfc
        = framed 00000000
        = authenticate
        = network
        > IPCP Configure-Request id=1 address=0.0.0.0 dns1=0.0.0.0 dns2=0.0.0.0
        < IPCP Configure-Nak id=1 address=10.0.0.3 dns1=0.0.0.0 dns2=0.0.0.0
        > IPCP Configure-Request id=2 address=10.0.0.3
        < IPCP Configure-Ack id=2 address=10.0.0.3
        < IPCP Configure-Request id=5 address=10.0.0.1
        = opened 10.0.0.3 to 10.0.0.1 mtu 1500
        > IPCP Configure-Ack id=5 address=10.0.0.1
    """)
    assert rig.session.phase is Phase.NETWORK


def test_a_farewell_of_before_is_no_reason_any_more() -> None:
    rig = rig_at(Phase.ESTABLISH)
    rig.play("""
        < LCP Terminate-Request id=7 text=of_a_former_call
        > LCP Terminate-Ack id=7
        < LCP Configure-Ack id=1 accm=00000000 magic=11111111 pfc acfc
        < LCP Configure-Request id=1
        = authenticate
        = network
        > LCP Configure-Ack id=1
        > IPCP Configure-Request id=1 address=0.0.0.0 dns1=0.0.0.0 dns2=0.0.0.0
        < LCP Configure-Request id=2
        = establish
        > LCP Configure-Request id=2 accm=00000000 magic=22222222 pfc acfc
        > LCP Configure-Ack id=2
    """)
    asks = "> LCP Configure-Request id=2 accm=00000000 magic=22222222 pfc acfc"
    rig.play(
        "\n".join(["+ 27", *[asks] * 9, "+ 3", "= dead", "= closed, the peer does not answer"])
    )


def test_a_peer_that_never_gets_beyond_lcp_is_given_up() -> None:
    rig = rig_at(Phase.NETWORK)
    magics = [f"{n * 0x11111111:08x}" for n in range(2, 13)]
    for n, magic in enumerate(magics[:-2], 2):
        rig.play(f"""
            < LCP Configure-Request id={n}
            = establish
            > LCP Configure-Request id={n} accm=00000000 magic={magic} pfc acfc
            > LCP Configure-Ack id={n}
            < LCP Configure-Ack id={n} accm=00000000 magic={magic} pfc acfc
            = authenticate
            = network
            > IPCP Configure-Request id=1 address=0.0.0.0 dns1=0.0.0.0 dns2=0.0.0.0
        """)
    rig.play(f"""
        < LCP Configure-Request id=11
        = establish
        > LCP Configure-Request id=11 accm=00000000 magic={magics[-2]} pfc acfc
        > LCP Configure-Ack id=11
        < LCP Configure-Ack id=11 accm=00000000 magic={magics[-2]} pfc acfc
        = authenticate
        = terminate
        > LCP Terminate-Request id=12 text=no_agreement_with_the_peer
        < LCP Terminate-Ack id=12
        = dead
        = closed, no agreement with the peer: LCP: it is negotiated again and again
    """)


def test_only_lcp_is_heard_while_the_link_is_taken_down() -> None:
    rig = opened()
    rig.play(f"""
        ! close
        = terminate
        > LCP Terminate-Request id=2
        < IP {PACKET.hex()}
        < IPCP Configure-Request id=9 address=10.0.0.9
        < CCP Configure-Request id=1 21=2f
        < LCP Configure-Request id=9
        < LCP Echo-Request id=9 0badcafe
    """)
    assert rig.session.counters.unexpected == 3


# Logins, between two sessions


METHODS = [(), *((method,) for method in Method)]


def name(methods: tuple[Method, ...]) -> str:
    return methods[0].value if methods else "none"


@pytest.mark.parametrize("methods", METHODS, ids=name)
def test_from_carrier_to_packets_in_under_six_round_trips(methods: tuple[Method, ...]) -> None:
    wire = joined(a_client(*methods), a_server(*methods), latency_s=1.0)
    wire.start()
    wire.run(60.0)
    assert [told(event) for end in wire.events for event in end if isinstance(event, Opened)] == [
        "opened 10.0.0.2 to 10.0.0.1 mtu 1500 dns 9.9.9.9,9.9.9.10",
        "opened 10.0.0.1 to 10.0.0.2 mtu 1500" + (" user alice" if methods else ""),
    ]
    for up_at in wire.up_at:
        assert up_at is not None
        assert up_at / 2.0 < 6.0


def test_even_when_the_method_is_not_the_servers_first() -> None:
    client = a_client(Method.PAP, Method.CHAP)
    wire = joined(client, a_server(*Method), latency_s=1.0)
    wire.start()
    wire.run(60.0)
    assert [end.method for end in map(wire.opened, (0, 1)) if end] == [Method.PAP, None]
    assert max(up_at for up_at in wire.up_at if up_at is not None) / 2.0 < 6.0


def each_other(client: Method, server: Method) -> tuple[SessionConfig, SessionConfig]:
    """Two who each demand a login of the other."""
    alice = Login(ALICE, PASSWORD, (client,))
    isp = Login("isp", "secret", (server,))
    return (
        a_client(login=alice, demand=Demand({"isp": "secret"}.get, "home", (server,))),
        a_server(login=isp, demand=Demand({ALICE: PASSWORD}.get, "provider", (client,))),
    )


@pytest.mark.parametrize(("client", "server"), list(product(Method, Method)))
def test_each_end_proves_itself_to_the_other(client: Method, server: Method) -> None:
    wire = joined(*each_other(client, server))
    wire.start()
    wire.run(60.0)
    ends = [end for end in map(wire.opened, (0, 1)) if end]
    assert [end.user for end in ends] == ["isp", ALICE]
    assert [end.method for end in ends] == [client, server]
    assert max(up_at for up_at in wire.up_at if up_at is not None) < 6 * 2 * LATENCY_S


@pytest.mark.parametrize("method", list(Method))
@pytest.mark.parametrize("who", ["alice", "mallory"])
def test_a_wrong_login_is_refused_once_and_for_all(method: Method, who: str) -> None:
    wire = joined(a_client(login=Login(who, "guess", (method,))), a_server(method))
    wire.start()
    wire.run(60.0)
    client, server = wire.closed(0), wire.closed(1)
    assert client is not None
    assert server is not None
    assert client.end is End.REFUSED
    assert client.end.is_refusal
    assert "Login incorrect" in client.detail
    assert str(server) == f'the peer has not proved who it is: it calls itself "{who}"'
    assert wire.sent < 20


def test_without_the_only_method_a_login_is_impossible() -> None:
    wire = joined(a_client(Method.CHAP), a_server(Method.PAP))
    wire.start()
    wire.run(60.0)
    client, server = wire.closed(0), wire.closed(1)
    words = "the peer demands a login in a way that is not allowed here: PAP"
    assert str(client) == words
    assert server is not None
    assert server.end is End.UNPROVEN


def test_without_a_login_none_is_possible() -> None:
    wire = joined(a_client(), a_server(Method.CHAP))
    wire.start()
    wire.run(60.0)
    client, server = wire.closed(0), wire.closed(1)
    assert str(client) == "the peer demands a login and there is none: CHAP"
    assert str(server) == "the peer has not proved who it is: LCP: it does not log in"


def test_a_peer_challenged_again_stays_or_goes() -> None:
    passwords = {ALICE: PASSWORD}
    demand = Demand(passwords.get, "isp", (Method.CHAP,), again_s=100.0)
    wire = joined(a_client(Method.CHAP), a_server(demand=demand))
    wire.start()
    wire.run(350.0)
    challenges = [line for line in wire.said if "Challenge" in line]
    assert len(challenges) == 4
    assert (wire.closed(0), wire.closed(1)) == (None, None)
    passwords.clear()
    wire.run(500.0)
    client, server = wire.closed(0), wire.closed(1)
    assert client is not None
    assert server is not None
    assert (client.end, server.end) == (End.REFUSED, End.UNPROVEN)


def test_a_silent_authenticator_is_no_refusal() -> None:
    rig = Rig(a_client(Method.CHAP, echo=QUIET))
    rig.play("""
        ! start
        = establish
        > LCP Configure-Request id=1 accm=00000000 magic=11111111 pfc acfc
        < LCP Configure-Ack id=1 accm=00000000 magic=11111111 pfc acfc
        < LCP Configure-Request id=1 auth=chap
        = authenticate
        > LCP Configure-Ack id=1 auth=chap
        + 60
        = terminate
        > LCP Terminate-Request id=2 text=the_peer_does_not_answer
        < LCP Terminate-Ack id=2
        = dead
        = closed, the peer does not answer: login
    """)


def test_the_servers_message_is_told() -> None:
    rig = Rig(a_client(Method.CHAP, echo=QUIET))
    value = hashlib.md5(b"\x05" + PASSWORD.encode() + b"0123456789abcdef", usedforsecurity=False)
    rig.play(f"""
        ! start
        = establish
        > LCP Configure-Request id=1 accm=00000000 magic=11111111 pfc acfc
        < LCP Configure-Ack id=1 accm=00000000 magic=11111111 pfc acfc
        < LCP Configure-Request id=1 auth=chap
        = authenticate
        > LCP Configure-Ack id=1 auth=chap
        < CHAP Challenge id=5 10{b"0123456789abcdefisp".hex()}
        > CHAP Response id=5 data=10{value.hexdigest()}{b"alice".hex()}
        < CHAP Failure id=5 {b"No credit left".hex()}
        = terminate
        > LCP Terminate-Request id=2 text=login_refused
        < LCP Terminate-Ack id=2
        = dead
        = closed, login refused: No credit left
    """)


@pytest.mark.parametrize(
    ("demanded", "protocol"),
    [(Method.PAP, "PAP"), (Method.CHAP, "CHAP"), (Method.MSCHAPV2, "CHAP")],
)
def test_a_peer_that_rejects_the_login_protocol_it_has_agreed_to(
    demanded: Method, protocol: str
) -> None:
    rig = Rig(a_server(demanded, echo=QUIET))
    rig.session.start(0.0)
    rig.session.take_frames()
    value = demanded.value
    ours = f"id=1 accm=00000000 auth={value} magic=11111111 pfc acfc"
    rig.session.receive(frame(f"LCP Configure-Ack {ours}"), 0.0)
    rig.session.receive(frame("LCP Configure-Request id=1"), 0.0)
    rig.session.receive(frame(f"LCP Protocol-Reject id=1 protocol={protocol}"), 0.0)
    rig.session.carrier_lost(0.0)
    closed = told(rig.session.take_events()[-1])
    assert closed == f"closed, no agreement with the peer: the peer rejects {protocol}"


def test_no_secret_is_in_what_a_session_shows() -> None:
    wire = joined(a_client(Method.CHAP), a_server(Method.CHAP))
    wire.start()
    wire.run(10.0)
    shown = [repr(end.config) for end in wire.ends] + [repr(event) for event in wire.events[0]]
    assert not any(PASSWORD in text for text in shown)


# Both ends as they come


def test_two_servers_agree_on_nothing_but_stop() -> None:
    wire = joined(a_server(Method.CHAP), a_server(Method.CHAP))
    wire.start()
    wire.run(120.0)
    for which in (0, 1):
        closed = wire.closed(which)
        assert closed is not None
        assert closed.end in (End.NO_LOGIN, End.UNPROVEN)


def test_two_clients_have_no_address_to_give() -> None:
    wire = joined(a_client(), a_client())
    wire.start()
    wire.run(120.0)
    assert End.NO_ADDRESS in {closed.end for closed in map(wire.closed, (0, 1)) if closed}
    assert None not in (wire.closed(0), wire.closed(1))


def test_two_with_addresses_of_their_own() -> None:
    ends = [
        a_client(address=number(address), asks_dns=False) for address in ("10.1.0.1", "10.2.0.1")
    ]
    wire = joined(*ends)
    wire.start()
    wire.run(10.0)
    assert [
        (dotted(end.address), dotted(end.peer_address)) for end in map(wire.opened, (0, 1)) if end
    ] == [
        ("10.1.0.1", "10.2.0.1"),
        ("10.2.0.1", "10.1.0.1"),
    ]


def test_on_ethernet_neither_end_sends_what_it_must_not() -> None:
    ethernet = {"is_async": False, "mru": 1492, "mtu": 1492}
    wire = joined(a_client(Method.CHAP, **ethernet), a_server(Method.CHAP, **ethernet))
    wire.start()
    wire.run(10.0)
    assert [end.mtu for end in map(wire.opened, (0, 1)) if end] == [1492, 1492]
    assert not any(word in line for line in wire.said for word in (" pfc", " acfc", " accm"))
    assert not any("Nak" in line or "Reject" in line for line in wire.said if "LCP" in line)


def test_a_server_that_hangs_up_and_its_client() -> None:
    wire = joined(a_client(Method.CHAP), a_server(Method.CHAP))
    wire.start()
    wire.run(10.0)
    wire.ends[1].close(10.0)
    wire.run(10.0)
    wire.start()  # what is running is not started again
    wire.run(20.0)
    client, server = wire.closed(0), wire.closed(1)
    assert (str(client), str(server)) == ("hung up by the peer", "hung up by us")


def test_a_looped_line_and_an_echoing_peer_are_the_same() -> None:
    wire = joined(a_client(Method.CHAP))
    wire.start()
    wire.run(10.0)
    closed = wire.closed(0)
    assert closed is not None
    assert closed.end is End.LOOPED
    assert wire.sent < 20
