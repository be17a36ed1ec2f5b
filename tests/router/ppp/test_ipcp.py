"""IPCP as conversations: who gets which address from whom."""

import pytest

from router.ppp.types import Echo, SessionConfig
from tests.lab.ppp import Rig, a_client, a_server, number

QUIET = Echo(interval_s=0)
CLIENT = a_client(echo=QUIET)
FIXED = a_client(address=number("192.0.2.7"), asks_dns=False, echo=QUIET)
SERVER = a_server(echo=QUIET)
QUESTION = "address=0.0.0.0 dns1=0.0.0.0 dns2=0.0.0.0"


def begun(config: SessionConfig = CLIENT) -> Rig:
    """One whose LCP has just opened, and which has sent its first IPCP request."""
    rig = Rig(config)
    rig.play("""
        ! start
        = establish
        > LCP Configure-Request id=1 accm=00000000 magic=11111111 pfc acfc
        < LCP Configure-Request id=1
        > LCP Configure-Ack id=1
    """)
    ours = bytes.fromhex("c02102010014 020600000000 050611111111 0702 0802")
    rig.session.receive(ours, rig.now)
    rig.session.take_events()
    rig.session.take_frames()
    return rig


def test_a_client_asks_and_takes_what_it_is_told() -> None:
    begun().play("""
        < IPCP Configure-Request id=1 address=10.0.0.1
        > IPCP Configure-Ack id=1 address=10.0.0.1
        < IPCP Configure-Nak id=1 address=10.0.0.2 dns1=9.9.9.9 dns2=9.9.9.10
        > IPCP Configure-Request id=2 address=10.0.0.2 dns1=9.9.9.9 dns2=9.9.9.10
        < IPCP Configure-Ack id=2 address=10.0.0.2 dns1=9.9.9.9 dns2=9.9.9.10
        = opened 10.0.0.2 to 10.0.0.1 mtu 1500 dns 9.9.9.9,9.9.9.10
    """)


def test_a_server_tells_what_it_is_asked() -> None:
    rig = begun(SERVER)
    rig.play("""
        < IPCP Configure-Ack id=1 address=10.0.0.1
        < IPCP Configure-Request id=1 address=0.0.0.0 dns1=0.0.0.0 dns2=0.0.0.0
        > IPCP Configure-Nak id=1 address=10.0.0.2 dns1=9.9.9.9 dns2=9.9.9.10
        < IPCP Configure-Request id=2 address=10.0.0.2 dns1=9.9.9.9 dns2=9.9.9.10
        = opened 10.0.0.1 to 10.0.0.2 mtu 1500
        > IPCP Configure-Ack id=2 address=10.0.0.2 dns1=9.9.9.9 dns2=9.9.9.10
    """)


@pytest.mark.parametrize(
    ("answer", "then"),
    [
        ("Nak id=1 address=10.0.0.2", "address=10.0.0.2 dns1=0.0.0.0 dns2=0.0.0.0"),
        ("Nak id=1 dns1=9.9.9.9 dns2=0.0.0.0", "address=0.0.0.0 dns1=9.9.9.9"),
        ("Nak id=1 address=0a00", QUESTION),
        ("Nak id=1 wins1=9.9.9.9", QUESTION),  # not asked for
        ("Reject id=1 dns1=0.0.0.0 dns2=0.0.0.0", "address=0.0.0.0"),
        ("Nak id=1 vj=002d0f01", QUESTION),
    ],
)
def test_a_refused_question_is_changed(answer: str, then: str) -> None:
    begun().play(f"""
        < IPCP Configure-{answer}
        > IPCP Configure-Request id=2 {then}
    """)


def test_one_name_server_is_told_once() -> None:
    begun().play("""
        < IPCP Configure-Request id=1
        > IPCP Configure-Ack id=1
        < IPCP Configure-Nak id=1 address=10.0.0.2 dns1=9.9.9.9 dns2=9.9.9.9
        > IPCP Configure-Request id=2 address=10.0.0.2 dns1=9.9.9.9 dns2=9.9.9.9
        < IPCP Configure-Ack id=2 address=10.0.0.2 dns1=9.9.9.9 dns2=9.9.9.9
        = opened 10.0.0.2 to 0.0.0.0 mtu 1500 dns 9.9.9.9
    """)


@pytest.mark.parametrize(
    ("request_", "answer"),
    [
        ("address=10.0.0.1", "Ack id=1 address=10.0.0.1"),
        ("address=0.0.0.0", "Reject id=1 address=0.0.0.0"),  # a client has none to give
        ("address=127.0.0.1", "Reject id=1 address=127.0.0.1"),
        ("address=224.0.0.1", "Reject id=1 address=224.0.0.1"),
        ("address=0a0000", "Reject id=1 address=0a0000"),
        ("vj=002d0f01 address=10.0.0.1", "Reject id=1 vj=002d0f01"),
        ("addresses=0a0000010a000002", "Reject id=1 addresses=0a0000010a000002"),
        ("dns1=0.0.0.0 wins1=0.0.0.0", "Reject id=1 dns1=0.0.0.0 wins1=00000000"),
        ("", "Ack id=1"),
    ],
)
def test_what_the_peer_of_a_client_may_have(request_: str, answer: str) -> None:
    begun().play(f"""
        < IPCP Configure-Request id=1 {request_}
        > IPCP Configure-{answer}
    """)


@pytest.mark.parametrize(
    ("request_", "answer"),
    [
        ("address=10.0.0.2", "Ack id=1 address=10.0.0.2"),
        ("address=192.168.1.9", "Nak id=1 address=10.0.0.2"),
        ("address=0a", "Nak id=1 address=10.0.0.2"),
        ("", "Nak id=1 address=10.0.0.2"),  # it should ask
        ("address=10.0.0.2 dns1=0.0.0.0", "Nak id=1 dns1=9.9.9.9"),
        ("address=10.0.0.2 wins1=0.0.0.0 dns2=0.0.0.0", "Reject id=1 wins1=00000000"),
        ("dns2=9.9.9.9", "Nak id=1 dns2=9.9.9.10 address=10.0.0.2"),
    ],
)
def test_what_the_peer_of_a_server_may_have(request_: str, answer: str) -> None:
    begun(SERVER).play(f"""
        < IPCP Configure-Request id=1 {request_}
        > IPCP Configure-{answer}
    """)


def test_a_server_with_one_name_server_offers_it_twice() -> None:
    begun(a_server(dns=(number("9.9.9.9"),))).play("""
        < IPCP Configure-Request id=1 address=10.0.0.2 dns1=0.0.0.0 dns2=0.0.0.0
        > IPCP Configure-Nak id=1 dns1=9.9.9.9 dns2=9.9.9.9
    """)


def test_a_server_without_name_servers_rejects_the_question() -> None:
    begun(a_server(dns=())).play("""
        < IPCP Configure-Request id=1 address=0.0.0.0 dns1=0.0.0.0 dns2=0.0.0.0
        > IPCP Configure-Reject id=1 dns1=0.0.0.0 dns2=0.0.0.0
    """)


def test_a_peer_that_never_asks_is_let_go_without_after_so_many_naks() -> None:
    rig = begun(SERVER)
    for n in range(5):
        rig.play(f"""
            < IPCP Configure-Request id={n}
            > IPCP Configure-Nak id={n} address=10.0.0.2
        """)
    rig.play("""
        < IPCP Configure-Request id=5
        > IPCP Configure-Ack id=5
    """)


def test_a_configured_address_is_not_given_up() -> None:
    begun(FIXED).play("""
        < IPCP Configure-Nak id=1 address=10.0.0.2
        > IPCP Configure-Request id=2 address=192.0.2.7
        < IPCP Configure-Request id=1
        > IPCP Configure-Ack id=1
        < IPCP Configure-Ack id=2 address=192.0.2.7
        = opened 192.0.2.7 to 0.0.0.0 mtu 1500
    """)


@pytest.mark.parametrize("refusals", [["Reject id=1 address=192.0.2.7"], ["Nak"] * 6])
def test_a_configured_address_need_not_be_told(refusals: list[str]) -> None:
    rig = begun(FIXED)
    for n, refusal in enumerate(refusals, 1):
        left = n == len(refusals)
        answer = refusal if "Reject" in refusal else f"Nak id={n} address=10.0.0.2"
        rig.play(f"""
            < IPCP Configure-{answer}
            > IPCP Configure-Request id={n + 1}{"" if left else " address=192.0.2.7"}
        """)
    last = len(refusals) + 1
    rig.play(f"""
        < IPCP Configure-Request id=1
        > IPCP Configure-Ack id=1
        < IPCP Configure-Ack id={last}
        = opened 192.0.2.7 to 0.0.0.0 mtu 1500
    """)


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (f"Ack id=1 {QUESTION}", "0.0.0.0 is confirmed"),
        ("Reject id=1 address=0.0.0.0", "the question is rejected"),
        ("Nak id=1 address=127.0.0.1", "127.0.0.1 cannot be a host's"),
        ("Nak id=1 address=239.1.2.3", "239.1.2.3 cannot be a host's"),
        ("Nak id=1 address=255.255.255.255", "255.255.255.255 cannot be a host's"),
    ],
)
def test_a_peer_that_assigns_no_address(answer: str, why: str) -> None:
    begun().play(f"""
        < IPCP Configure-{answer}
        = terminate
        > LCP Terminate-Request id=2 text=the_peer_assigns_no_address
        < LCP Terminate-Ack id=2
        = dead
        = closed, the peer assigns no address: IPCP: {why}
    """)


def test_a_peer_that_naks_for_ever_is_given_up() -> None:
    rig = begun()
    for n in range(1, 30):
        rig.play(f"""
            < IPCP Configure-Nak id={n} address=10.0.0.{n}
            > IPCP Configure-Request id={n + 1} address=10.0.0.{n} dns1=0.0.0.0 dns2=0.0.0.0
        """)
    rig.play("""
        < IPCP Configure-Nak id=30 address=10.0.0.99
        = terminate
        > LCP Terminate-Request id=2 text=no_agreement_with_the_peer
        + 3
        > LCP Terminate-Request id=2 text=no_agreement_with_the_peer
        + 3
        = dead
        = closed, no agreement with the peer: IPCP: 30 requests have come to nothing
    """)


def test_name_servers_a_peer_naks_for_ever_are_done_without() -> None:
    rig = begun(a_client(address=number("192.0.2.7"), echo=QUIET))
    for n in range(1, 6):
        rig.play(f"""
            < IPCP Configure-Nak id={n} dns1=9.9.9.{n}
            > IPCP Configure-Request id={n + 1} address=192.0.2.7 dns1=9.9.9.{n} dns2=0.0.0.0
        """)
    rig.play("""
        < IPCP Configure-Nak id=6 dns1=9.9.9.6
        > IPCP Configure-Request id=7 address=192.0.2.7 dns2=0.0.0.0
    """)


def test_a_peer_that_does_not_know_the_protocol() -> None:
    begun().play("""
        < LCP Protocol-Reject id=1 protocol=IPCP data=01010016
        = terminate
        > LCP Terminate-Request id=2 text=no_agreement_with_the_peer
        < LCP Terminate-Ack id=2
        = dead
        = closed, no agreement with the peer: the peer rejects IPCP
    """)


def test_other_codes_are_rejected() -> None:
    begun().play("""
        < IPCP 9 id=1 data=00000000
        > IPCP Code-Reject id=2 data=0901000800000000
    """)
