r"""Conversations as text, played against a chat.

    > ATZ\r            it sends this
    < OK\r\n           the modem says this
    @ 45               the clock moves on to 45 s; what is due by then is done
    break              it sends a break
    : dialling         it tells people this
    done "rest" / CONNECT 33600
    failed: the modem says BUSY

The octets are written with the escapes of Python. What is written is all that happens.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace

from router.chat.machine import Break, Chat, Done, Effect, Failed, Say, Send

Cut = Callable[[bytes], Iterable[bytes]]


def whole(octets: bytes) -> list[bytes]:
    return [octets]


def by_octet(octets: bytes) -> list[bytes]:
    return [octets[at : at + 1] for at in range(len(octets))]


def octets(text: str) -> bytes:
    return text.encode("latin-1").decode("unicode_escape").encode("latin-1")


def text_of(data: bytes) -> str:
    return data.decode("latin-1").encode("unicode_escape").decode("ascii")


def told(effect: Effect) -> str:
    if isinstance(effect, Send):
        return f"> {text_of(effect.octets)}"
    if isinstance(effect, Break):
        return "break"
    if isinstance(effect, Say):
        return f": {effect.text}"
    if isinstance(effect, Failed):
        return f"failed: {effect.why}"
    assert isinstance(effect, Done)
    return " / ".join([f'done "{text_of(effect.rest)}"', *effect.reports])


class Host:
    """Keeps time for a chat and has all that it does as text; after it has the octets itself."""

    def __init__(self, chat: Chat) -> None:
        self.happened: list[str] = []
        self._chat = chat
        self._now = 0.0
        self._done: Done | None = None

    def start(self) -> None:
        self._chat.start(self._now)
        self._act()

    def receive(self, data: bytes) -> None:
        if self._done is None:
            self._chat.receive(data, self._now)
            self._act()
        else:
            self._done = replace(self._done, rest=self._done.rest + data)

    def wait(self, until: float) -> None:
        while (at := self._chat.next_deadline()) is not None and at <= until:
            self._now = at
            self._chat.handle_timer(at)
            self._act()
        self._now = until

    def end(self) -> None:
        if self._done is not None:
            self.happened.append(told(self._done))

    def _act(self) -> None:
        for effect in self._chat.take_effects():
            assert self._done is None
            if isinstance(effect, Done):
                self._done = effect
            else:
                self.happened.append(told(effect))


def lines(conversation: str) -> list[str]:
    return [line.strip() for line in conversation.strip().split("\n")]


def played(chat: Chat, conversation: str, cut: Cut) -> list[str]:
    """Do the modem's part of a conversation, cut up in some way; return all that happened."""
    host = Host(chat)
    host.start()
    for line in lines(conversation):
        if line[0] not in "<@":
            continue
        host.happened.append(line)
        if line[0] == "<":
            for chunk in cut(octets(line[2:])):
                host.receive(chunk)
        else:
            host.wait(float(line[2:]))
    host.end()
    return host.happened
