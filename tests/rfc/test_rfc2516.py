"""RFC 2516 section 7: what PPP may and may not agree on where there is Ethernet below."""

import random

import pytest

from router.ppp.session import Session
from router.ppp.types import SessionConfig
from router.wire.ppp import Code, Option, Packet, Protocol, join, split
from router.wire.pppoe import MRU

MRU_OPTION, ACCM, MAGIC, PFC, ACFC, FCS = 1, 2, 5, 7, 8, 9  # RFC 1661 section 6, RFC 1570, 1662


def a_session() -> Session:
    config = SessionConfig(mru=MRU, mtu=MRU, is_async=False)
    session = Session(config, rng=random.Random(1), now=0.0)
    session.start(0.0)
    return session


def said(session: Session) -> list[Packet]:
    packets = []
    for frame in session.take_frames():
        parts = split(frame)
        assert isinstance(parts, tuple)
        assert parts[0] == Protocol.LCP
        packet = Packet.parse(parts[1])
        assert isinstance(packet, Packet)
        packets.append(packet)
    return packets


def options_of(packet: Packet) -> tuple[Option, ...]:
    options = Option.parse_all(packet.data)
    assert isinstance(options, tuple)
    return options


def ask(session: Session, *options: Option) -> Packet:
    """Return what the session answers to a request."""
    said(session)
    request = Packet(Code.CONFIGURE_REQUEST, 7, Option.build_all(options))
    session.receive(join(Protocol.LCP, request.build()), 0.0)
    (answer,) = said(session)
    return answer


def test_what_is_asked_of_the_peer() -> None:
    (request,) = said(a_session())
    asked = {option.kind: option.value for option in options_of(request)}
    assert not asked.keys() & {FCS, ACFC, ACCM}
    assert PFC not in asked
    assert MAGIC in asked
    assert int.from_bytes(asked[MRU_OPTION], "big") == 1492


@pytest.mark.parametrize(
    "option",
    [Option(FCS, b"\x04"), Option(ACFC, b""), Option(ACCM, bytes(4))],
    ids=["FCS alternatives", "ACFC", "ACCM"],
)
def test_what_the_peer_may_not_ask_for_is_rejected(option: Option) -> None:
    answer = ask(a_session(), Option(MAGIC, b"\1\2\3\4"), option)
    assert answer.code == Code.CONFIGURE_REJECT
    assert option in options_of(answer)


def test_an_mru_that_ethernet_carries_is_acknowledged() -> None:
    offer = (Option(MRU_OPTION, (1492).to_bytes(2, "big")), Option(MAGIC, b"\1\2\3\4"))
    answer = ask(a_session(), *offer)
    assert (answer.code, options_of(answer)) == (Code.CONFIGURE_ACK, offer)


def test_ppp_itself_says_good_bye() -> None:
    session = a_session()
    said(session)
    session.close(1.0)
    assert [packet.code for packet in said(session)] == [Code.TERMINATE_REQUEST]
