"""Conversations with pppd, octet by octet: what it sends with its default options.

Put together from its documentation and source, not captured. Each frame, "<" for one of pppd's and
">" for one of ours, has its meaning below it. Our magic numbers and challenges are those of a
session whose randomness is foretold.
"""

import hashlib

import pytest

from router.ppp.session import Session
from router.ppp.types import Demand, Echo, Login, Method, SessionConfig
from router.wire.ppp import ADDRESS_CONTROL
from tests.lab.ppp import Dice, a_server, frame, shown, told

QUIET = Echo(interval_s=0)

# pppd asks a customer to log in by CHAP: `pppd ... auth require-chap proxyarp ms-dns 192.0.2.53`
PPPD_ANSWERS = """
> c021 01 01 0014 0206 00000000 0506 11111111 0702 0802
    LCP Configure-Request id=1 accm=00000000 magic=11111111 pfc acfc
< c021 01 01 0019 0206 00000000 0305 c22305 0506 9a3e10d7 0702 0802
    LCP Configure-Request id=1 accm=00000000 auth=chap magic=9a3e10d7 pfc acfc
> c021 02 01 0019 0206 00000000 0305 c22305 0506 9a3e10d7 0702 0802
    LCP Configure-Ack id=1 accm=00000000 auth=chap magic=9a3e10d7 pfc acfc
< c021 02 01 0014 0206 00000000 0506 11111111 0702 0802
    LCP Configure-Ack id=1 accm=00000000 magic=11111111 pfc acfc
< c021 09 00 0008 9a3e10d7
    LCP Echo-Request id=0 magic=9a3e10d7
> c021 0a 00 0008 11111111
    LCP Echo-Reply id=0 magic=11111111
< c223 01 b1 0018 10 000102030405060708090a0b0c0d0e0f 697370
    CHAP Challenge id=177 data=10000102030405060708090a0b0c0d0e0f697370
> c223 02 b1 001a 10 {response} 616c696365
    CHAP Response id=177 data=10{response}616c696365
< c223 03 b1 0012 4163636573732067 72616e746564
    CHAP Success id=177 data=416363657373206772616e746564
> 8021 01 01 0016 0306 00000000 8106 00000000 8306 00000000
    IPCP Configure-Request id=1 address=0.0.0.0 dns1=0.0.0.0 dns2=0.0.0.0
< 80fd 01 01 000f 1a04 7800 1804 7800 1503 2f
    CCP Configure-Request id=1 26=7800 24=7800 21=2f
> c021 08 02 0015 80fd 01 01 000f 1a04 7800 1804 7800 1503 2f
    LCP Protocol-Reject id=2 protocol=CCP data=0101000f1a0478001804780015032f
< 8021 01 01 0010 0206 002d0f01 0306 c0000201
    IPCP Configure-Request id=1 vj=002d0f01 address=192.0.2.1
> 8021 04 01 000a 0206 002d0f01
    IPCP Configure-Reject id=1 vj=002d0f01
< 8021 03 01 0016 0306 c0000264 8106 c0000235 8306 c0000235
    IPCP Configure-Nak id=1 address=192.0.2.100 dns1=192.0.2.53 dns2=192.0.2.53
> 8021 01 02 0016 0306 c0000264 8106 c0000235 8306 c0000235
    IPCP Configure-Request id=2 address=192.0.2.100 dns1=192.0.2.53 dns2=192.0.2.53
< 8021 01 02 000a 0306 c0000201
    IPCP Configure-Request id=2 address=192.0.2.1
> 8021 02 02 000a 0306 c0000201
    IPCP Configure-Ack id=2 address=192.0.2.1
< 8021 02 02 0016 0306 c0000264 8106 c0000235 8306 c0000235
    IPCP Configure-Ack id=2 address=192.0.2.100 dns1=192.0.2.53 dns2=192.0.2.53
< c021 05 02 0010 55736572 20726571 75657374
    LCP Terminate-Request id=2 text=User_request
> c021 06 02 0004
    LCP Terminate-Ack id=2
"""

# pppd is the customer: `pppd ... user alice usepeerdns noipdefault`
PPPD_ASKS = """
> c021 01 01 0019 0206 00000000 0305 c22305 0506 11111111 0702 0802
    LCP Configure-Request id=1 accm=00000000 auth=chap magic=11111111 pfc acfc
< c021 01 01 0014 0206 00000000 0506 5c0ffee1 0702 0802
    LCP Configure-Request id=1 accm=00000000 magic=5c0ffee1 pfc acfc
> c021 02 01 0014 0206 00000000 0506 5c0ffee1 0702 0802
    LCP Configure-Ack id=1 accm=00000000 magic=5c0ffee1 pfc acfc
< c021 02 01 0019 0206 00000000 0305 c22305 0506 11111111 0702 0802
    LCP Configure-Ack id=1 accm=00000000 auth=chap magic=11111111 pfc acfc
> c223 01 01 0018 10 00000000000000000000000000000000 697370
    CHAP Challenge id=1 data=1000000000000000000000000000000000697370
< c223 02 01 001a 10 {answer} 616c696365
    CHAP Response id=1 data=10{answer}616c696365
> c223 03 01 0012 4c6f67696e206163636570746564
    CHAP Success id=1 data=4c6f67696e206163636570746564
> 8021 01 01 000a 0306 0a000001
    IPCP Configure-Request id=1 address=10.0.0.1
< 80fd 01 01 000f 1a04 7800 1804 7800 1503 2f
    CCP Configure-Request id=1 26=7800 24=7800 21=2f
> c021 08 02 0015 80fd 01 01 000f 1a04 7800 1804 7800 1503 2f
    LCP Protocol-Reject id=2 protocol=CCP data=0101000f1a0478001804780015032f
< 8021 01 01 001c 0206 002d0f01 0306 00000000 8106 00000000 8306 00000000
    IPCP Configure-Request id=1 vj=002d0f01 address=0.0.0.0 dns1=0.0.0.0 dns2=0.0.0.0
> 8021 04 01 000a 0206 002d0f01
    IPCP Configure-Reject id=1 vj=002d0f01
< 8057 01 01 000e 010a 02005efffe000102
    IPV6CP Configure-Request id=1 1=02005efffe000102
> c021 08 03 0014 8057 01 01 000e 010a 02005efffe000102
    LCP Protocol-Reject id=3 protocol=IPV6CP data=0101000e010a02005efffe000102
< 8021 02 01 000a 0306 0a000001
    IPCP Configure-Ack id=1 address=10.0.0.1
< 8021 01 02 0016 0306 00000000 8106 00000000 8306 00000000
    IPCP Configure-Request id=2 address=0.0.0.0 dns1=0.0.0.0 dns2=0.0.0.0
> 8021 03 02 0016 0306 0a000002 8106 09090909 8306 0909090a
    IPCP Configure-Nak id=2 address=10.0.0.2 dns1=9.9.9.9 dns2=9.9.9.10
< 8021 01 03 0016 0306 0a000002 8106 09090909 8306 0909090a
    IPCP Configure-Request id=3 address=10.0.0.2 dns1=9.9.9.9 dns2=9.9.9.10
> 8021 02 03 0016 0306 0a000002 8106 09090909 8306 0909090a
    IPCP Configure-Ack id=3 address=10.0.0.2 dns1=9.9.9.9 dns2=9.9.9.10
"""


def digest(identifier: int, challenge: bytes) -> str:
    content = bytes([identifier]) + b"wonderland" + challenge
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


CONVERSATIONS = {
    "pppd answers": (
        SessionConfig(login=Login("alice", "wonderland", (Method.CHAP,)), echo=QUIET),
        PPPD_ANSWERS.format(response=digest(0xB1, bytes(range(16)))),
        ["opened 192.0.2.100 to 192.0.2.1 mtu 1500 dns 192.0.2.53"],
    ),
    "pppd asks": (
        a_server(
            demand=Demand({"alice": "wonderland"}.get, "isp", (Method.CHAP,)), echo=QUIET
        ),
        PPPD_ASKS.format(answer=digest(1, bytes(16))),
        ["opened 10.0.0.1 to 10.0.0.2 mtu 1500 user alice"],
    ),
}  # fmt: skip
conversations = pytest.mark.parametrize("name", list(CONVERSATIONS))


def lines(text: str) -> list[tuple[str, bytes, str]]:
    """Who says it, the frame, its meaning."""
    found = [line.strip() for line in text.strip().splitlines()]
    pairs = zip(found[::2], found[1::2], strict=True)
    return [(octets[0], bytes.fromhex(octets[1:]), meaning) for octets, meaning in pairs]


@conversations
def test_frames_mean_what_is_beside_them(name: str) -> None:
    for _, octets, meaning in lines(CONVERSATIONS[name][1]):
        assert shown(octets) == meaning
        assert frame(meaning) == octets


@conversations
@pytest.mark.parametrize("shortened", [False, True], ids=["whole", "address and control left out"])
def test_the_conversation_is_held_octet_by_octet(name: str, shortened: bool) -> None:
    config, text, opened = CONVERSATIONS[name]
    session = Session(config, rng=Dice(), now=0.0)
    session.start(0.0)
    sent, happened = session.take_frames(), []
    for who, octets, _ in lines(text):
        if who == "<":
            session.receive(octets if shortened else ADDRESS_CONTROL + octets, 0.0)
            sent += session.take_frames()
            happened += session.take_events()
        else:
            assert sent.pop(0) == octets
    assert sent == []
    assert [told(event) for event in happened if told(event).startswith("opened")] == opened
