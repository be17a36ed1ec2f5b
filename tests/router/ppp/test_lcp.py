"""LCP as conversations: what we ask for, what we make of what the peer asks for."""

import pytest

from router.ppp.types import Echo, Method, Retries, SessionConfig
from tests.lab.ppp import Rig, a_client, a_server

QUIET = Echo(interval_s=0)
PLAIN = SessionConfig(echo=QUIET)
ON_ETHERNET = SessionConfig(is_async=False, mru=1492, mtu=1492, echo=QUIET)


def asked(config: SessionConfig = PLAIN) -> Rig:
    """One that has sent its first request, and which nobody has answered."""
    rig = Rig(config)
    rig.session.start(0.0)
    rig.session.take_events()
    rig.session.take_frames()
    return rig


# What we ask for


def test_a_line_of_octets_is_asked_for_all_that_saves_octets() -> None:
    Rig(PLAIN).play("""
        ! start
        = establish
        > LCP Configure-Request id=1 accm=00000000 magic=11111111 pfc acfc
    """)


def test_ethernet_is_asked_for_its_mru_and_nothing_asynchronous() -> None:
    Rig(ON_ETHERNET).play("""
        ! start
        = establish
        > LCP Configure-Request id=1 mru=1492 magic=11111111
    """)


def test_what_both_have_agreed_on_is_told_the_line() -> None:
    Rig(PLAIN).play("""
        ! start
        = establish
        > LCP Configure-Request id=1 accm=00000000 magic=11111111 pfc acfc
        < LCP Configure-Ack id=1 accm=00000000 magic=11111111 pfc acfc
        < LCP Configure-Request id=9 mru=1400 accm=000a0000 magic=0badcafe pfc
        = framed 000a0000 pfc
        = authenticate
        = network
        > LCP Configure-Ack id=9 mru=1400 accm=000a0000 magic=0badcafe pfc
        > IPCP Configure-Request id=1 address=0.0.0.0 dns1=0.0.0.0 dns2=0.0.0.0
    """)


def test_a_peer_that_asks_for_nothing_gets_the_defaults() -> None:
    Rig(PLAIN).play("""
        ! start
        = establish
        > LCP Configure-Request id=1 accm=00000000 magic=11111111 pfc acfc
        < LCP Configure-Request id=1
        > LCP Configure-Ack id=1
        < LCP Configure-Reject id=1 accm=00000000 magic=11111111 pfc acfc
        > LCP Configure-Request id=2
        < LCP Configure-Ack id=2
        = authenticate
        = network
        > IPCP Configure-Request id=1 address=0.0.0.0 dns1=0.0.0.0 dns2=0.0.0.0
    """)


@pytest.mark.parametrize(
    ("answer", "then"),
    [
        ("Nak id=1 accm=000a0000", "accm=000a0000 magic=11111111 pfc acfc"),
        ("Nak id=1 magic=00000001", "accm=00000000 magic=22222222 pfc acfc"),  # ours, not theirs
        ("Nak id=1 pfc", "accm=00000000 magic=11111111 acfc"),
        ("Nak id=1 mru=1400", "accm=00000000 magic=11111111 pfc acfc mru=1400"),  # not asked for
        ("Nak id=1 mru=1600", "accm=00000000 magic=11111111 pfc acfc"),  # more than we take
        ("Nak id=1 mru=0x64", "accm=00000000 magic=11111111 pfc acfc"),  # one octet
        ("Nak id=1 mru=20", "accm=00000000 magic=11111111 pfc acfc"),
        ("Nak id=1 auth=pap", "accm=00000000 magic=11111111 pfc acfc"),  # we demand nothing
        ("Nak id=1 99=0102", "accm=00000000 magic=11111111 pfc acfc"),
        ("Nak id=1 accm=00", "accm=00000000 magic=11111111 pfc acfc"),
        ("Reject id=1 accm=00000000", "magic=11111111 pfc acfc"),
        ("Reject id=1 magic=11111111 acfc", "accm=00000000 pfc"),
    ],
)
def test_a_refused_request_is_changed(answer: str, then: str) -> None:
    asked().play(f"""
        < LCP Configure-{answer}
        > LCP Configure-Request id=2 {then}
    """)


@pytest.mark.parametrize(
    "answer",
    [
        "Ack id=2 accm=00000000 magic=11111111 pfc acfc",  # of a request that was never sent
        "Ack id=1 accm=00000000 magic=11111111 pfc",  # of other options
        "Ack id=1",
        "Nak id=7 pfc",
        "Nak id=1",  # of nothing
        "Nak id=1 data=05",  # of half an option
        "Reject id=1 accm=00000001",  # of what was not asked for
        "Reject id=1 99=",
        "Reject id=1",
    ],
)
def test_an_answer_to_nothing_that_was_asked_is_ignored(answer: str) -> None:
    rig = asked()
    rig.play(f"""
        < LCP Configure-{answer}
        + 2.9
        + 0.1
        > LCP Configure-Request id=1 accm=00000000 magic=11111111 pfc acfc
    """)
    assert rig.session.counters.stale + rig.session.counters.malformed == 1


def test_an_answer_counts_once() -> None:
    asked().play("""
        < LCP Configure-Nak id=1 pfc
        > LCP Configure-Request id=2 accm=00000000 magic=11111111 acfc
        < LCP Configure-Nak id=1 pfc
        < LCP Configure-Ack id=2 accm=00000000 magic=11111111 acfc
        < LCP Configure-Ack id=2 accm=00000000 magic=11111111 acfc
        < LCP Configure-Reject id=2 acfc
    """)


def test_a_late_answer_to_a_repeated_request_counts() -> None:
    asked().play("""
        + 3
        > LCP Configure-Request id=1 accm=00000000 magic=11111111 pfc acfc
        < LCP Configure-Ack id=1 accm=00000000 magic=11111111 pfc acfc
        < LCP Configure-Request id=1
        = authenticate
        = network
        > LCP Configure-Ack id=1
        > IPCP Configure-Request id=1 address=0.0.0.0 dns1=0.0.0.0 dns2=0.0.0.0
    """)


def test_once_answered_a_request_is_not_repeated_with_its_identifier() -> None:
    asked().play("""
        < LCP Configure-Ack id=1 accm=00000000 magic=11111111 pfc acfc
        + 3
        > LCP Configure-Request id=2 accm=00000000 magic=11111111 pfc acfc
    """)


# What the peer asks for


@pytest.mark.parametrize(
    ("request_", "answer"),
    [
        ("mru=1500", "Ack id=5 mru=1500"),
        ("mru=68", "Ack id=5 mru=68"),
        ("mru=67", "Nak id=5 mru=1500"),
        ("mru=65535", "Ack id=5 mru=65535"),
        ("mru=0x05", "Nak id=5 mru=1500"),
        ("accm=ffffffff", "Ack id=5 accm=ffffffff"),
        ("accm=ffff", "Nak id=5 accm=00000000"),
        ("magic=00000000", "Nak id=5 magic=22222222"),
        ("magic=aabb", "Nak id=5 magic=22222222"),
        ("magic=11111111", "Nak id=5 magic=22222222"),
        ("pfc acfc", "Ack id=5 pfc acfc"),
        ("pfc=01", "Nak id=5 pfc"),
        ("quality=c025", "Reject id=5 quality=c025"),
        ("13=06 17", "Reject id=5 13=06 17"),
        ("mru=60 13=06 magic=12345678", "Reject id=5 13=06"),  # rejects go before naks
        ("mru=1400 mru=1400", "Reject id=5 mru=1400"),  # twice
        ("mru=60 accm=00", "Nak id=5 mru=1500 accm=00000000"),
        ("auth=pap", "Reject id=5 auth=pap"),
    ],
)
def test_what_the_peer_may_have(request_: str, answer: str) -> None:
    asked().play(f"""
        < LCP Configure-Request id=5 {request_}
        > LCP Configure-{answer}
    """)


@pytest.mark.parametrize(
    ("request_", "answer"),
    [
        ("mru=1492 magic=12345678", "Ack id=5 mru=1492 magic=12345678"),
        ("mru=1500", "Nak id=5 mru=1492"),
        ("accm=00000000 pfc acfc", "Reject id=5 accm=00000000 pfc acfc"),
        ("9=05", "Reject id=5 9=05"),  # alternatives of the frame check sequence
    ],
)
def test_what_the_peer_may_have_on_ethernet(request_: str, answer: str) -> None:
    asked(ON_ETHERNET).play(f"""
        < LCP Configure-Request id=5 {request_}
        > LCP Configure-{answer}
    """)


@pytest.mark.parametrize("data", ["05", "0501", "0500", "0105dc", "010405dc07"])
def test_a_request_that_does_not_parse_is_dropped(data: str) -> None:
    rig = asked()
    rig.play(f"< LCP Configure-Request id=5 data={data}")
    assert rig.session.counters.malformed == 1


def test_after_so_many_naks_it_is_rejected() -> None:
    rig = asked()
    for n in range(5):
        rig.play(f"""
            < LCP Configure-Request id={n} mru=60
            > LCP Configure-Nak id={n} mru=1500
        """)
    rig.play("""
        < LCP Configure-Request id=5 mru=60 magic=12345678
        > LCP Configure-Reject id=5 mru=60
        < LCP Configure-Request id=6 magic=12345678
        > LCP Configure-Ack id=6 magic=12345678
    """)


def test_the_same_request_again_is_answered_the_same_and_counts_once() -> None:
    repeated = """
        < LCP Configure-Request id=5 mru=60
        > LCP Configure-Nak id=5 mru=1500
    """
    asked().play(repeated * 20)


def test_a_peer_that_insists_is_given_up() -> None:
    rig = asked(SessionConfig(echo=QUIET, retries=Retries(max_configure=1)))
    rig.play("""
        < LCP Configure-Request id=1 99=01
        > LCP Configure-Reject id=1 99=01
        < LCP Configure-Request id=2 99=01
        > LCP Configure-Reject id=2 99=01
        < LCP Configure-Request id=3 99=01
        > LCP Configure-Reject id=3 99=01
        < LCP Configure-Request id=4 99=01
        = terminate
        > LCP Terminate-Request id=2 text=no_agreement_with_the_peer
        < LCP Terminate-Ack id=2
        = dead
        = closed, no agreement with the peer: LCP: the peer insists on what it cannot have
    """)


# Login


def test_a_demand_we_can_meet_is_met() -> None:
    asked(a_client(Method.CHAP, Method.PAP)).play("""
        < LCP Configure-Request id=1 auth=pap
        > LCP Configure-Ack id=1 auth=pap
    """)


def test_other_demands_are_answered_with_ours_in_turn_and_then_rejected() -> None:
    asked(a_client(Method.MSCHAPV2, Method.CHAP)).play("""
        < LCP Configure-Request id=1 auth=eap
        > LCP Configure-Nak id=1 auth=mschapv2
        < LCP Configure-Request id=2 auth=pap
        > LCP Configure-Nak id=2 auth=chap
        < LCP Configure-Request id=3 auth=pap
        > LCP Configure-Reject id=3 auth=pap
        < LCP Configure-Request id=4 auth=pap
        = terminate
        > LCP Terminate-Request id=2 text=the_peer_demands_a_login_in_a_way_that_is_not_allowed_here
        < LCP Terminate-Ack id=2
        = dead
        = closed, the peer demands a login in a way that is not allowed here: PAP
    """)


def test_a_suggestion_counts_only_when_it_is_made() -> None:
    asked(a_client(Method.CHAP)).play("""
        < LCP Configure-Request id=1 auth=eap 99=01
        > LCP Configure-Reject id=1 99=01
        < LCP Configure-Request id=2 auth=eap
        > LCP Configure-Nak id=2 auth=chap
        < LCP Configure-Request id=3 auth=chap
        > LCP Configure-Ack id=3 auth=chap
    """)


@pytest.mark.parametrize("demanded", ["eap", "mschap", "pap"])
def test_a_peer_that_hangs_up_over_a_login_has_said_that_none_is_possible(demanded: str) -> None:
    words = {"eap": "EAP", "mschap": "MS-CHAP", "pap": "PAP"}
    asked().play(f"""
        < LCP Configure-Request id=1 auth={demanded}
        > LCP Configure-Reject id=1 auth={demanded}
        < LCP Terminate-Request id=2 text=peer_refused_to_authenticate
        = terminate
        > LCP Terminate-Ack id=2
        > LCP Terminate-Request id=2 text=the_peer_demands_a_login_and_there_is_none
        < LCP Terminate-Ack id=2
        = dead
        = closed, the peer demands a login and there is none: {words[demanded]}
    """)


def test_a_peer_may_let_us_in_without_the_login_it_has_demanded() -> None:
    asked().play("""
        < LCP Configure-Ack id=1 accm=00000000 magic=11111111 pfc acfc
        < LCP Configure-Request id=1 auth=pap
        > LCP Configure-Reject id=1 auth=pap
        < LCP Configure-Request id=2
        = authenticate
        = network
        > LCP Configure-Ack id=2
        > IPCP Configure-Request id=1 address=0.0.0.0 dns1=0.0.0.0 dns2=0.0.0.0
    """)


DEMANDING = a_server(Method.MSCHAPV2, Method.CHAP, Method.PAP, echo=QUIET)


@pytest.mark.parametrize(
    ("suggestions", "demands"),
    [
        (["pap"], ["mschapv2", "pap"]),
        (["eap"], ["mschapv2", "chap"]),
        (["mschapv2"], ["mschapv2", "chap"]),  # naks what it suggests
        (["pap", "eap"], ["mschapv2", "pap", "chap"]),
        (["eap", "eap"], ["mschapv2", "chap", "pap"]),
    ],
)
def test_what_we_demand_follows_suggestions(suggestions: list[str], demands: list[str]) -> None:
    script = ["! start", "= establish"]
    for n, demand in enumerate(demands, 1):
        ours = f"accm=00000000 auth={demand} magic=11111111 pfc acfc"
        script.append(f"> LCP Configure-Request id={n} {ours}")
        if n <= len(suggestions):
            script.append(f"< LCP Configure-Nak id={n} auth={suggestions[n - 1]}")
    Rig(DEMANDING).play("\n".join(script))


def test_a_peer_that_would_log_in_in_no_way_is_not_let_in() -> None:
    asked(a_server(Method.CHAP)).play("""
        < LCP Configure-Nak id=1 auth=eap
        = terminate
        > LCP Terminate-Request id=2 text=the_peer_has_not_proved_who_it_is
        < LCP Terminate-Ack id=2
        = dead
        = closed, the peer has not proved who it is: LCP: it agrees to no way to log in
    """)


def test_a_peer_that_rejects_our_demand_is_not_let_in() -> None:
    asked(a_server(Method.CHAP)).play("""
        < LCP Configure-Reject id=1 auth=chap
        = terminate
        > LCP Terminate-Request id=2 text=the_peer_has_not_proved_who_it_is
        < LCP Terminate-Ack id=2
        = dead
        = closed, the peer has not proved who it is: LCP: it does not log in
    """)


# Loops


def test_a_looped_line_is_told_by_its_magic_number() -> None:
    looped = ["! start", "= establish"]
    magics = [f"{n * 0x11111111:08x}" for n in range(1, 9)]
    for n in range(1, 4):
        ours, other = magics[2 * n - 2], magics[2 * n - 1]
        request = f"LCP Configure-Request id={n} accm=00000000 magic={ours} pfc acfc"
        nak = f"LCP Configure-Nak id={n} magic={other}"
        looped += [f"> {request}", f"< {request}", f"> {nak}", f"< {nak}"]
    request = f"LCP Configure-Request id=4 accm=00000000 magic={magics[6]} pfc acfc"
    bye = "LCP Terminate-Request id=5 text=" + (
        "what_is_sent_comes_back:_the_line_is_looped_or_the_peer_echoes"
    )
    looped += [f"> {request}", f"< {request}", "= terminate", f"> {bye}", f"< {bye}"]
    looped += ["> LCP Terminate-Ack id=5", "< LCP Terminate-Ack id=5", "= dead"]
    closed = "what is sent comes back: the line is looped or the peer echoes"
    Rig(PLAIN).play("\n".join([*looped, f"= closed, {closed}"]))


def test_three_collisions_are_a_coincidence() -> None:
    rig = asked()
    for n in range(1, 4):
        rig.session.receive(b"\xc0\x21\x01" + bytes([n]) + b"\x00\x0a\x05\x06" + b"\x11" * 4, 0.0)
    rig.session.take_frames()
    rig.play("""
        < LCP Configure-Request id=9 magic=12345678
        > LCP Configure-Ack id=9 magic=12345678
    """)


# Once it is open


def opened(config: SessionConfig = PLAIN) -> Rig:
    """One whose LCP is open; its magic number is 11111111, the peer's 0badcafe."""
    rig = asked(config)
    rig.play("""
        < LCP Configure-Ack id=1 accm=00000000 magic=11111111 pfc acfc
        < LCP Configure-Request id=1 mru=100 magic=0badcafe
        = authenticate
        = network
        > LCP Configure-Ack id=1 mru=100 magic=0badcafe
        > IPCP Configure-Request id=1 address=0.0.0.0 dns1=0.0.0.0 dns2=0.0.0.0
    """)
    return rig


def test_echoes_are_answered_with_our_magic_number_and_their_data() -> None:
    opened().play("""
        < LCP Echo-Request id=77 0badcafe 48656c6c6f
        > LCP Echo-Reply id=77 magic=11111111 data=48656c6c6f
    """)


def test_our_magic_number_is_0_once_the_peer_has_rejected_it() -> None:
    rig = asked()
    rig.play("""
        < LCP Configure-Reject id=1 magic=11111111
        > LCP Configure-Request id=2 accm=00000000 pfc acfc
        < LCP Configure-Ack id=2 accm=00000000 pfc acfc
        < LCP Configure-Request id=1
        = authenticate
        = network
        > LCP Configure-Ack id=1
        > IPCP Configure-Request id=1 address=0.0.0.0 dns1=0.0.0.0 dns2=0.0.0.0
        < LCP Echo-Request id=1 00000000
        > LCP Echo-Reply id=1 magic=00000000
    """)


def test_echoes_are_not_answered_before() -> None:
    asked().play("< LCP Echo-Request id=77 0badcafe")


@pytest.mark.parametrize(
    "octets",
    [
        "",
        "c0",
        "c021",
        "c021 0101 00",
        "c021 0101 0003",  # shorter than its own header
        "c021 0101 0009 01020304",  # longer than the frame
        "c021 0901 0007 0badca",  # an echo without a magic number
    ],
)
def test_what_does_not_parse_is_dropped(octets: str) -> None:
    rig = opened()
    rig.session.receive(bytes.fromhex(octets), 1.0)
    assert rig.session.take_frames() == []
    assert rig.session.counters.malformed == 1


def test_padding_behind_a_packet_is_not_part_of_it() -> None:
    rig = opened()
    rig.session.receive(bytes.fromhex("c021 0907 0008 0badcafe 0000000000"), 1.0)
    assert rig.session.take_frames() == [bytes.fromhex("c021 0a07 0008 11111111")]


def test_what_needs_no_answer_gets_none() -> None:
    opened().play("""
        < LCP Echo-Reply id=1 0badcafe
        < LCP Echo-Reply id=1 11111111
        < LCP Discard-Request id=1 0badcafe 00
        < LCP Identification id=1 0badcafe 4d535241535635
    """)


def test_an_unknown_code_is_rejected_no_longer_than_the_peer_takes() -> None:
    rig = opened()
    rig.play(f"""
        < LCP 66 id=5 0102
        > LCP Code-Reject id=2 data=420500060102
        < LCP 66 id=5 {"00" * 200}
        > LCP Code-Reject id=3 data=420500cc{"00" * 92}
    """)
    assert rig.session.counters.rejected == 2


@pytest.mark.parametrize("code", ["01", "04", "05", "07"])
def test_a_peer_that_does_not_know_what_nothing_works_without(code: str) -> None:
    asked().play(f"""
        < LCP Code-Reject id=1 {code}010004
        = dead
        = closed, no agreement with the peer: LCP: the peer rejects code {int(code)}
    """)


def test_a_code_we_can_do_without() -> None:
    rig = opened()
    rig.play("""
        < LCP Code-Reject id=1 09010008
        < LCP Code-Reject id=2
    """)
    assert (rig.session.counters.rejects, rig.session.counters.malformed) == (1, 1)


def test_protocols_the_peer_does_not_know() -> None:
    rig = opened()
    rig.play("""
        < LCP Protocol-Reject id=1 protocol=CCP
        < LCP Protocol-Reject id=2 80
    """)
    assert (rig.session.counters.rejects, rig.session.counters.malformed) == (1, 1)


@pytest.mark.parametrize("protocol", ["LCP", "IPCP", "IP"])
def test_before_it_is_open_nothing_can_have_been_rejected(protocol: str) -> None:
    rig = asked()
    rig.play(f"< LCP Protocol-Reject id=1 protocol={protocol}")
    assert rig.session.counters.stale == 1


def test_a_peer_that_does_not_know_lcp() -> None:
    opened().play("""
        < LCP Protocol-Reject id=1 protocol=LCP
        = terminate
        > LCP Terminate-Request id=2
        < LCP Terminate-Ack id=2
        = dead
        = closed, no agreement with the peer: LCP: the peer rejects the protocol
    """)
