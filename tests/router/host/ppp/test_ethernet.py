"""PPPoE on a wire: what it says, judged by scapy, whom it listens to, and what ends it."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterator

import pytest
from scapy.layers.l2 import Ether
from scapy.layers.ppp import PPPoE, PPPoED, PPPoED_Tags

from router.host.lines.backend import DialError
from router.host.ppp.ethernet import BURST, STRAYS, PppoeLine
from router.host.ppp.packetsocket import PacketSocket
from router.ppp.discovery import DiscoveryConfig
from router.wire.hdlc import Framing
from router.wire.pppoe import BROADCAST, Code, Packet, Tag, TagKind
from tests.lab.box import run
from tests.lab.linerigs import eventually
from tests.lab.pppoerig import CARD, PATIENCE_S, Ethernet, Peer

pytestmark = pytest.mark.net

STRANGER = b"\x02\xde\xad\0\0\x01"
ECHO = bytes.fromhex("c021 0901 0008 12345678")
OTHER_ECHO = bytes.fromhex("c021 0902 0008 12345678")
Story = Callable[[Peer, "Heard"], Awaitable[None]]


class Heard:
    """A line and what it has told."""

    def __init__(self, wire: Ethernet, **options: object) -> None:
        config = DiscoveryConfig(first_wait_s=PATIENCE_S, **options)  # type: ignore[arg-type]
        self.line = PppoeLine(CARD, netns=wire.near, rng=random.Random(), config=config)
        self.frames: list[bytes] = []
        self.losses: list[str] = []
        self.drains = 0

    async def rise(self) -> None:
        await self.line.connect()
        self.begin()

    def begin(self) -> None:
        self.line.begin(self.frames.extend, self.losses.append, self._ready)

    def _ready(self) -> None:
        self.drains += 1


@pytest.fixture
def wire() -> Iterator[Ethernet]:
    made = Ethernet()
    try:
        yield made
    finally:
        made.remove()


def play(wire: Ethernet, story: Story, peer: type[Peer] = Peer, **options: object) -> None:
    """Play a story with a line that is taken down in the end."""

    async def whole() -> None:
        async with asyncio.timeout(20):
            far, heard = peer(wire), Heard(wire, **options)
            try:
                await story(far, heard)
            finally:
                await heard.line.disconnect()
                far.close()

    asyncio.run(whole())


async def refused(heard: Heard, why: str) -> None:
    with pytest.raises(DialError, match=f"^{why}$"):
        await heard.line.connect()
    await heard.line.disconnect()


def discovery(frames: list[bytes]) -> list[tuple[str, str, int, dict[int, bytes]]]:
    """Each packet as scapy reads it: destination, source, session, tags; by its code."""
    told = []
    for frame in frames:
        seen = Ether(frame)
        assert (seen.type, seen[PPPoED].version, seen[PPPoED].type) == (0x8863, 1, 1)
        listed = seen[PPPoED_Tags].tag_list if PPPoED_Tags in seen else []
        tags = {tag.tag_type: tag.tag_value for tag in listed}
        told.append((seen.dst, hex(seen[PPPoED].code), seen[PPPoED].sessionid, tags))
    return told


def text(mac: bytes) -> str:
    return mac.hex(":")


def test_from_the_first_question_to_the_last_word(wire: Ethernet) -> None:
    async def story(peer: Peer, heard: Heard) -> None:
        await heard.rise()
        heard.line.send([ECHO])
        await eventually(lambda: peer.seen)
        await heard.line.disconnect()
        await eventually(lambda: peer.endings)
        session, ac = peer.sessions[0].session, text(peer.mac)
        asked, request, end = discovery(peer.discovered)
        uniq = asked[3][0x0103]
        assert asked == ("ff:ff:ff:ff:ff:ff", "0x9", 0, {0x0101: b"", 0x0103: uniq})
        assert request[:3] == (ac, "0x19", 0)
        assert request[3].keys() == {0x0101, 0x0103, 0x0104}
        assert request[3][0x0103] == uniq
        assert end[:3] == (ac, "0xa7", session)
        seen = Ether(peer.seen[0])
        assert (seen.dst, seen.src) == (ac, text(peer.sessions[0].host))
        packet = seen[PPPoE]
        assert (seen.type, packet.version, packet.type, packet.code) == (0x8864, 1, 1, 0)
        assert (packet.sessionid, packet.len, bytes(packet.payload)) == (
            session, len(ECHO), ECHO)  # fmt: skip

    play(wire, story)


def test_the_padding_of_short_frames_is_taken_away(wire: Ethernet) -> None:
    async def story(peer: Peer, heard: Heard) -> None:
        await heard.rise()
        peer.say([ECHO], pad=60)
        await eventually(lambda: heard.frames)
        assert heard.frames == [ECHO]

    play(wire, story)


def test_the_first_frame_of_the_concentrator_waits_for_us(wire: Ethernet) -> None:
    async def story(peer: Peer, heard: Heard) -> None:
        peer.greeting = [ECHO]  # right behind the confirmation
        await heard.line.connect()
        await asyncio.sleep(0.05)
        heard.begin()
        await eventually(lambda: heard.frames)
        assert heard.frames == [ECHO]

    play(wire, story)


def test_each_connection_is_a_session_of_its_own(wire: Ethernet) -> None:
    async def story(peer: Peer, heard: Heard) -> None:
        for _ in range(3):
            await heard.rise()
            await heard.line.disconnect()
            await eventually(lambda: not peer.concentrator.hosts)
        assert len({each.session for each in peer.sessions}) == 3
        uniqs = {tags[0x0103] for _, code, _, tags in discovery(peer.discovered)
                 if code == "0x9"}  # fmt: skip
        assert len(uniqs) == 3

    play(wire, story)


def test_more_than_a_burst_comes_in_order(wire: Ethernet) -> None:
    async def story(peer: Peer, heard: Heard) -> None:
        await heard.rise()
        frames = [b"\0\x21" + bytes([number]) for number in range(2 * BURST)]
        peer.say(frames)
        await eventually(lambda: len(heard.frames) == len(frames))
        assert heard.frames == frames

    play(wire, story)


def test_framing_does_not_concern_it(wire: Ethernet) -> None:
    async def story(peer: Peer, heard: Heard) -> None:
        await heard.rise()
        heard.line.set_framing(Framing(0, compresses_protocol=True, compresses_address=True))
        heard.line.send([ECHO])
        await eventually(lambda: peer.seen)
        assert peer.heard() == [ECHO]

    play(wire, story)


@pytest.mark.parametrize("limit", ["20kb", "10mb"])
def test_a_full_card_congests_the_line_and_loses_nothing(wire: Ethernet, limit: str) -> None:
    """With the short queue the card refuses frames, with the long one the socket does."""

    async def story(peer: Peer, heard: Heard) -> None:
        await heard.rise()
        wire.rate("rate", "8mbit", "burst", "2000", "limit", limit)
        frames = [number.to_bytes(2, "big").ljust(1400, b".") for number in range(400)]
        heard.line.send(frames[:200])
        assert heard.line.is_congested
        heard.line.send(frames[200:])
        assert not heard.drains
        await eventually(lambda: not heard.line.is_congested)
        assert heard.drains == 1
        await eventually(lambda: len(peer.seen) == len(frames))
        assert peer.heard() == frames

    play(wire, story)


def test_nobody_else_is_listened_to(wire: Ethernet) -> None:
    async def story(peer: Peer, heard: Heard) -> None:
        await heard.rise()
        host, session = peer.sessions[0].host, peer.sessions[0].session
        end, other = (Packet(Code.PADT, each, b"").build() for each in (session, session ^ 1))
        peer.say([ECHO], mac=STRANGER)
        peer.say([ECHO], session=session ^ 1)
        peer.send(host, end, mac=STRANGER)
        peer.send(host, other)
        peer.send(BROADCAST, end)
        peer.say([OTHER_ECHO])
        await eventually(lambda: heard.frames)
        await asyncio.sleep(0.05)
        assert (heard.frames, heard.losses) == ([OTHER_ECHO], [])

    play(wire, story)


def test_what_is_no_packet_is_counted(wire: Ethernet) -> None:
    async def story(peer: Peer, heard: Heard) -> None:
        await heard.rise()
        header = peer.sessions[0].host + peer.mac + b"\x88\x64"
        for packet in (b"\x11\0\0", b"\x21\0\0\1\0\0", b"\x11\0\0\1\0\xff", b"\x11\7\0\1\0\0"):
            peer._session.send(header + packet)
        peer.say([ECHO])
        await eventually(lambda: heard.frames)
        assert heard.frames == [ECHO]
        assert heard.line.bad_frames == {"truncated": 1, "pppoe-version": 1, "pppoe-length": 1}
        assert heard.line.carrier == f"PPPoE session {peer.sessions[0].session}"
        await heard.line.disconnect()
        assert sum(heard.line.bad_frames.values()) == 3, "they outlive the connection"
        assert heard.line.carrier == ""

    play(wire, story)


def test_sessions_nobody_has_are_ended_but_not_for_ever(
    wire: Ethernet, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[bytes] = []
    receive = PacketSocket.receive

    def noted(self: PacketSocket) -> bytes | None:
        frame = receive(self)
        if frame is not None:
            read.append(frame)
        return frame

    async def story(peer: Peer, heard: Heard) -> None:
        await heard.rise()
        asked = len(peer.discovered)
        former = peer.sessions[0].session ^ 1
        for _ in range(2 * STRAYS):
            peer.say([ECHO], session=former)
            await asyncio.sleep(0.005)
        told = discovery(peer.discovered[asked:])
        assert [each[:3] for each in told] == [(text(peer.mac), "0xa7", former)] * STRAYS
        monkeypatch.setattr(PacketSocket, "receive", noted)
        peer.say([ECHO] * 200, session=former)
        peer.say([ECHO] * 200, mac=STRANGER)
        peer.say([OTHER_ECHO])
        await eventually(lambda: heard.frames)
        assert heard.frames == [OTHER_ECHO]
        assert len(read) == 1, "the kernel keeps them away"

    play(wire, story)


def test_questions_of_neighbours_wake_nobody(
    wire: Ethernet, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(peer: Peer, heard: Heard) -> None:
        await heard.rise()
        monkeypatch.setattr(PacketSocket, "receive", None)
        question = Tag.build_all([Tag(TagKind.SERVICE_NAME, b"")])
        peer.send(BROADCAST, Packet(Code.PADI, 0, question).build(), mac=STRANGER)
        await asyncio.sleep(0.05)
        monkeypatch.undo()
        assert not heard.losses

    play(wire, story)


def test_another_line_on_the_card_keeps_its_session(wire: Ethernet) -> None:
    async def story(peer: Peer, heard: Heard) -> None:
        other = Heard(wire)
        await heard.rise()
        await other.rise()
        first, second = peer.sessions
        peer.say([ECHO], session=first.session)
        peer.say([OTHER_ECHO], session=second.session)
        await eventually(lambda: heard.frames and other.frames)
        await other.line.disconnect()
        await eventually(lambda: peer.endings)
        assert (heard.frames, other.frames) == ([ECHO], [OTHER_ECHO])
        assert (heard.losses, [each.session for each in peer.endings]) == (
            [], [second.session])  # fmt: skip
        peer.say([ECHO], session=second.session)  # alone again, strays are answered
        ends = [second.session] * 2
        await eventually(
            lambda: [n for _, code, n, _ in discovery(peer.discovered) if code == "0xa7"] == ends
        )

    play(wire, story)


def test_a_session_confirmed_when_we_had_given_up_is_ended(wire: Ethernet) -> None:
    class Mute(Peer):
        """Its confirmations are lost."""

        def send(self, to: bytes, packet: bytes, *, mac: bytes = b"") -> None:
            if packet[1] != Code.PADS:
                super().send(to, packet, mac=mac)

    async def story(peer: Peer, heard: Heard) -> None:
        peer.greeting = [ECHO]
        await refused(heard, "the access concentrator offers sessions and confirms none")
        await eventually(lambda: peer.endings)
        assert peer.concentrator.hosts == {}

    play(wire, story, Mute, initiations=1, requests=1)


def test_nobody_answers(wire: Ethernet) -> None:
    async def story(peer: Peer, heard: Heard) -> None:
        peer.is_deaf = True
        await refused(heard, f"no access concentrator answers on {CARD}")
        assert len(peer.discovered) == 3

    play(wire, story, initiations=3)


def test_the_cable_is_pulled(wire: Ethernet) -> None:
    async def story(_peer: Peer, heard: Heard) -> None:
        run("ip", "-n", wire.far, "link", "set", "eth0", "down")
        await refused(heard, f"no carrier on {CARD}")

    play(wire, story, initiations=1)


def test_the_card_is_down(wire: Ethernet) -> None:
    async def story(_peer: Peer, heard: Heard) -> None:
        wire.card("down")
        await refused(heard, f"{CARD} is down")

    play(wire, story)


def test_the_card_is_gone(wire: Ethernet) -> None:
    async def story(_peer: Peer, heard: Heard) -> None:
        run("ip", "-n", wire.near, "link", "del", CARD)
        await refused(heard, f"{CARD} is gone")

    play(wire, story)


def test_the_card_goes_while_we_ask(wire: Ethernet) -> None:
    async def story(peer: Peer, heard: Heard) -> None:
        peer.is_deaf = True
        dial = asyncio.ensure_future(heard.line.connect())
        await eventually(lambda: peer.discovered)
        run("ip", "-n", wire.near, "link", "del", CARD)
        with pytest.raises(DialError, match=f"^{CARD} is gone$"):
            await dial

    play(wire, story)


def test_the_card_is_too_narrow(wire: Ethernet) -> None:
    async def story(_peer: Peer, heard: Heard) -> None:
        wire.card("mtu", "1492")
        await refused(heard, f"the MTU of {CARD} is below 1500")

    play(wire, story)


def test_it_is_no_ethernet(wire: Ethernet) -> None:
    async def story() -> None:
        line = PppoeLine("lo", netns=wire.near, rng=random.Random(1))
        with pytest.raises(DialError, match=r"^lo is no Ethernet device$"):
            await line.connect()

    asyncio.run(story())


def test_there_is_no_such_namespace() -> None:
    async def story() -> None:
        line = PppoeLine(CARD, netns="pe-none", rng=random.Random(1))
        with pytest.raises(DialError, match=r"^there is no network namespace pe-none$"):
            await line.connect()

    asyncio.run(story())


def test_no_concentrator_is_the_one_asked_for(wire: Ethernet) -> None:
    async def story(_peer: Peer, heard: Heard) -> None:
        await refused(heard, "no access concentrator answers to the name other")

    play(wire, story, concentrator="other", initiations=1)


def test_the_concentrator_says_why_fit_for_a_terminal(wire: Ethernet) -> None:
    class Rude(Peer):
        """Its refusals are long and not for people."""

        def send(self, to: bytes, packet: bytes, *, mac: bytes = b"") -> None:
            parsed = Packet.parse(packet)
            assert isinstance(parsed, Packet)
            if parsed.code == Code.PADS:
                error = Tag(TagKind.GENERIC_ERROR, b"\x1b[31mno\xff" + b"!" * 1000)
                payload = parsed.payload + Tag.build_all([error])
                packet = Packet(Code.PADS, 0, payload).build()
            super().send(to, packet, mac=mac)

    async def story(_peer: Peer, heard: Heard) -> None:
        said = r"\?\[31mno\ufffd!{100,200}"
        await refused(heard, f"the access concentrator reports an error: {said}")

    play(wire, story, Rude)


@pytest.mark.parametrize("has_begun", [True, False])
@pytest.mark.parametrize(
    ("happens", "why"),
    [
        ("hung up", "hung up by the access concentrator: going down"),
        ("down", f"{CARD} is down"),
        ("gone", f"{CARD} is gone"),
        ("moved", f"{CARD} is gone"),
    ],
)
def test_what_ends_it_is_told_once(wire: Ethernet, happens: str, why: str, has_begun: bool) -> None:
    async def story(peer: Peer, heard: Heard) -> None:
        await heard.line.connect()
        if has_begun:
            heard.begin()
        if happens == "hung up":
            peer.hang_up("going down")
        elif happens == "down":
            wire.card("down")
        elif happens == "gone":
            run("ip", "-n", wire.near, "link", "del", CARD)
        else:
            wire.card("netns", wire.far)
        await asyncio.sleep(0.05)
        if not has_begun:
            heard.begin()
            assert heard.losses == []
        heard.line.send([ECHO])
        await eventually(lambda: heard.losses)
        heard.line.send([ECHO])
        await asyncio.sleep(0.05)
        assert (heard.losses, heard.frames, heard.line.is_congested) == ([why], [], False)
        told = len(peer.discovered)
        await heard.line.disconnect()
        await asyncio.sleep(0.02)
        assert heard.losses == [why]
        if happens == "hung up":  # then nothing more is said of it
            assert (len(peer.discovered), peer.seen) == (told, [])

    play(wire, story)


def test_a_line_rises_again_on_a_card_that_came_back(wire: Ethernet) -> None:
    async def story(peer: Peer, heard: Heard) -> None:
        await heard.rise()
        wire.card("down")
        await eventually(lambda: heard.losses)
        await heard.line.disconnect()
        wire.card("up")
        await heard.rise()
        peer.say([ECHO])
        await eventually(lambda: heard.frames)

    play(wire, story)


def test_a_pulled_cable_is_for_the_echo_to_notice(wire: Ethernet) -> None:
    async def story(peer: Peer, heard: Heard) -> None:
        await heard.rise()
        run("ip", "-n", wire.far, "link", "set", "eth0", "down")
        await asyncio.sleep(0.05)
        run("ip", "-n", wire.far, "link", "set", "eth0", "up")
        assert heard.losses == []
        await eventually(lambda: _says(peer))
        await eventually(lambda: heard.frames)

    def _says(peer: Peer) -> bool:
        try:
            peer.say([ECHO])
        except OSError:  # it was down
            return False
        return True

    play(wire, story)
