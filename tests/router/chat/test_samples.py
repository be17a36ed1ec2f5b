"""The sample chats at work on a modem, each second of it by hand."""

from pathlib import Path

import pytest

from router.chat.machine import Chat, Done, Failed, Send
from router.chat.script import parse_script
from router.host.ppp.stream import HANG_UP_S
from router.lab.modem import Modem
from router.lab.modemeffects import Dial, HangUp, ToTerminal

ETC = Path(__file__).parents[3] / "etc"
TICK_S = 0.05


class Desk:
    """A modem at which a chat is held; `did` has what the modem did meanwhile."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.modem = Modem()
        self.did: list[object] = []

    def call(self, name: str) -> Done | Failed:
        """Play a sample, and return how it ended."""
        chat = Chat(parse_script((ETC / name).read_text(), name), "5551234")
        chat.start(self.now)
        while True:
            for effect in chat.take_effects():
                if isinstance(effect, Done | Failed):
                    return effect
                if isinstance(effect, Send):
                    self.modem.from_terminal(effect.octets, self.now)
            self._pass()
            for said in self.modem.take_effects():
                self.did.append(said)
                if isinstance(said, ToTerminal):
                    chat.receive(said.data, self.now)
                if isinstance(said, Dial):
                    self.modem.line_connected(33600, self.now)
            if (due := chat.next_deadline()) is not None and due <= self.now:
                chat.handle_timer(self.now)

    def _pass(self) -> None:
        self.now += TICK_S
        while (due := self.modem.next_deadline()) <= self.now:
            self.modem.handle_timer(due)


@pytest.fixture
def desk() -> Desk:
    """A modem with a call on it, from which data has just come."""
    desk = Desk()
    assert isinstance(desk.call("isp.chat"), Done)
    desk.modem.from_terminal(b"a frame", desk.now)
    desk.did.clear()
    return desk


def test_a_call_is_hung_up_in_time(desk: Desk) -> None:
    began_at = desk.now
    assert isinstance(desk.call("isp-down.chat"), Done)
    assert any(isinstance(each, HangUp) for each in desk.did)
    assert desk.now - began_at < HANG_UP_S


def test_a_call_that_is_over_does_no_harm(desk: Desk) -> None:
    desk.modem.line_lost(desk.now)
    desk.modem.take_effects()
    began_at = desk.now
    assert isinstance(desk.call("isp-down.chat"), Done)
    assert desk.now - began_at < HANG_UP_S
