"""Captures of a PPP line, as Wireshark reads them."""

import asyncio
import json
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from itertools import cycle
from pathlib import Path

import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.ppp import (
    PPP,
    PPP_IPCP,
    PPP_CHAP_ChallengeResponse,
    PPP_IPCP_Option_IPAddress,
    PPP_LCP_Auth_Protocol_Option,
    PPP_LCP_Configure,
    PPP_LCP_MRU_Option,
    PPP_LCP_Protocol_Reject,
    PPP_PAP_Request,
)
from scapy.packet import Packet

from router.errors import ControlError
from router.host.control.capture import LineTap, pcapng_stream
from router.host.control.pcapng import ENHANCED_PACKET, LINKTYPE_PPP, split_blocks
from router.host.ppp.wiretap import Wiretaps
from tests.lab.controlled import Controlled, eventually

US, THEM = False, True  # who sent it
PASSWORD = b"open sesame"
LCP, PAP, CHAP, IPCP, IPV4 = 0xC021, 0xC023, 0xC223, 0x8021, 0x0021


def on_the_line(protocol: int, packet: Packet) -> bytes:
    return bytes(PPP(proto=protocol) / packet)


ASKED = PPP_PAP_Request(id=3, username=b"alice", password=PASSWORD)
CALL = [
    (US, on_the_line(LCP, PPP_LCP_Configure(
        code=1, id=1, options=[PPP_LCP_MRU_Option(max_recv_unit=1492)]))),
    (THEM, on_the_line(LCP, PPP_LCP_Configure(
        code=1, id=9, options=[PPP_LCP_Auth_Protocol_Option(auth_protocol=PAP)]))),
    (US, on_the_line(PAP, ASKED)),
    (THEM, on_the_line(LCP, PPP_LCP_Protocol_Reject(
        id=4, rejected_protocol=PAP, rejected_information=PPP_PAP_Request(bytes(ASKED))))),
    (THEM, on_the_line(CHAP, PPP_CHAP_ChallengeResponse(
        code=1, id=5, value=bytes(16), optional_name=b"isp"))),
    (US, on_the_line(CHAP, PPP_CHAP_ChallengeResponse(
        code=2, id=5, value=bytes(16), optional_name=b"alice"))),
    (US, on_the_line(IPCP, PPP_IPCP(
        code=1, id=1, options=[PPP_IPCP_Option_IPAddress(data="203.0.113.2")]))),
    (US, on_the_line(IPV4, IP(src="203.0.113.2", dst="198.51.100.53")
                     / UDP(sport=4000, dport=5000) / b"hi")),
]  # fmt: skip


def recorded(*frames: tuple[bool, bytes]) -> bytes:
    """The file of a capture that sees these frames."""

    async def scenario() -> bytes:
        taps, tap = Wiretaps(), LineTap()
        isp = taps.on("isp")
        taps.watch("isp", tap.see)
        for inbound, frame in frames:
            isp(frame, inbound)
        stream = pcapng_stream(tap, ["isp"], LINKTYPE_PPP)
        return await anext(stream) + await asyncio.wait_for(anext(stream), 10)

    return asyncio.run(scenario())


def tshark(capture: bytes, *fields: str) -> list[list[str]]:
    """What Wireshark finds in each packet."""
    options = [option for field in fields for option in ("-e", field)]
    done = subprocess.run(
        ["tshark", "-n", "-r", "-", "-T", "fields", "-E", "separator=|", *options],
        input=capture, capture_output=True, check=True,
    )  # fmt: skip
    return [line.split("|") for line in done.stdout.decode().splitlines()]


def test_wireshark_decodes_the_whole_call() -> None:
    fields = ("frame.protocols", "frame.interface_name", "_ws.col.Info")
    assert tshark(recorded(*CALL), *fields) == [
        ["ppp:lcp", "isp", "Configuration Request"],
        ["ppp:lcp", "isp", "Configuration Request"],
        ["ppp:pap", "isp", "Authenticate-Request (Peer-ID='alice', Password='***********')"],
        ["ppp:lcp:pap", "isp", "Protocol Reject"],
        ["ppp:chap", "isp", f"Challenge (NAME='isp', VALUE=0x{'00' * 16})"],
        ["ppp:chap", "isp", f"Response (NAME='alice', VALUE=0x{'00' * 16})"],
        ["ppp:ipcp", "isp", "Configuration Request"],
        ["ppp:ip:udp:data", "isp", "4000 → 5000 Len=2"],
    ]


def test_wireshark_decodes_what_is_negotiated_and_who_says_it() -> None:
    fields = ("lcp.opt.mru", "lcp.opt.auth_protocol", "ipcp.opt.ip_address", "udp.dstport")
    found = tshark(recorded(*CALL), "frame.packet_flags_direction", *fields)
    directions = [int(direction, 16) for direction, *_ in found]
    assert directions == [1 if sender is THEM else 2 for sender, _ in CALL]
    told = [next((value for value in values if value), "") for _, *values in found]
    assert told == ["1492", "0xc023", "", "", "", "", "203.0.113.2", "5000"]


@pytest.mark.parametrize("address_control", [b"", b"\xff\x03"])
@pytest.mark.parametrize("protocol", [b"\x21", b"\x00\x21"])
def test_wireshark_decodes_it_whatever_the_ends_have_agreed_to_leave_out(
    address_control: bytes, protocol: bytes
) -> None:
    _, packet = CALL[-1]
    frame = address_control + protocol + packet[2:]
    found = tshark(recorded((US, frame)), "ppp.address", "ppp.control", "ppp.protocol", "ip.dst")
    assert found == [["0xff", "0x03", "0x0021", "198.51.100.53"]]


def test_no_password_is_in_the_file() -> None:
    assert sum(PASSWORD in frame for _, frame in CALL) == 2
    capture = recorded(*CALL)
    assert PASSWORD not in capture
    assert capture.count(b"*" * len(PASSWORD)) == 2
    assert capture.count(b"\x05alice\x0b") == 2


# From the control API


@contextmanager
def talking(served: Controlled, *links: str) -> Iterator[None]:
    """Lines on which the whole call is repeated, each with its name as a last word."""
    lines = [(link, served.wiretaps.on(link)) for link in links]
    done = threading.Event()

    def talk() -> None:
        for sender, frame in cycle(CALL):
            if done.wait(0.002):
                return
            for link, line in lines:
                served.on_loop(partial(line, frame + link.encode(), sender))

    thread = threading.Thread(target=talk)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Controlled]:
    with Controlled(tmp_path).running() as served:
        yield served


def captured(served: Controlled, link: str = "") -> bytes:
    """A capture of a call."""

    async def scenario() -> bytes:
        capture = b""
        async for blocks in served.client.capture("line", link):
            capture += blocks
            kinds = [kind for kind, _ in split_blocks(capture)]
            if kinds.count(ENHANCED_PACKET) >= len(CALL):
                break
        return capture

    return asyncio.run(asyncio.wait_for(scenario(), 20))


@pytest.mark.parametrize(("asked", "captured_link"), [("", "isp"), ("isp", "isp")])
def test_the_only_line_need_not_be_named(
    served: Controlled, asked: str, captured_link: str
) -> None:
    with talking(served, "isp"):
        capture = captured(served, asked)
        eventually(lambda: not served.wiretaps._watchers["isp"], "nobody watches")
    found = tshark(capture, "frame.interface_name", "frame.protocols")
    assert {name for name, _ in found} == {captured_link}
    assert {"ppp:lcp", "ppp:pap", "ppp:chap", "ppp:ipcp"} <= {protocols for _, protocols in found}


def test_of_several_lines_one_is_seen(served: Controlled) -> None:
    with talking(served, "isp", "modem"):
        capture = captured(served, "modem")
    assert {name for (name,) in tshark(capture, "frame.interface_name")} == {"modem"}
    assert PASSWORD + b"modem" not in capture


@pytest.mark.parametrize(
    ("links", "query", "status", "sentence"),
    [
        ([], "side=line", 404, "there is no link that speaks PPP"),
        ([], "side=line&link=isp", 404, "there is no link that speaks PPP"),
        (["isp", "modem"], "side=line&link=lte", 404,
         "'lte' is not a link that speaks PPP; there are: isp, modem"),
        (["isp", "modem"], "side=line&link=%0A", 404,
         "'\\n' is not a link that speaks PPP; there are: isp, modem"),
        (["isp", "modem"], "side=line", 400, "several links speak PPP; say which: isp, modem"),
        (["isp"], "side=wan&link=isp", 400, "a link is named for side=line only"),
        (["isp"], "side=up", 400, "side is lan, wan, both or line"),
    ],
)  # fmt: skip
def test_what_cannot_be_captured_is_a_sentence(
    served: Controlled, links: list[str], query: str, status: int, sentence: str
) -> None:
    for link in links:
        served.wiretaps.on(link)
    got, text = served.raw("GET", f"/v1/capture?{query}")
    assert (got, json.loads(text)["error"]) == (status, sentence)


def test_whoever_asks_by_the_client_reads_the_sentence(served: Controlled) -> None:
    with pytest.raises(ControlError, match=r"^there is no link that speaks PPP$"):
        captured(served)
