"""What the daemon makes of a PPP link."""

import asyncio
from pathlib import Path

import pytest

from router.config import PppLink, load
from router.daemon.ppp import ppp_backend
from router.host.lines.backend import DialError
from router.wire.address import parse_address

TEXT = """
[lan]
address = "192.168.1.1/24"
[[link]]
name = "isp"
backend = "ppp"
line = "pty:cat"
chat = "isp.chat"
"""


def test_a_chat_that_was_changed_is_the_next_dial_s(tmp_path: Path) -> None:
    """The program echoes, so that a chat hears what it has sent."""
    chat, file = tmp_path / "isp.chat", tmp_path / "router.toml"
    chat.write_text("ABORT one '' one two ''\n")
    file.write_text(TEXT)
    (link,) = load(file).links
    assert isinstance(link, PppLink)

    async def dial() -> None:
        outside = parse_address("203.0.113.2")
        backend = ppp_backend(link, "", lambda address: address == outside)
        for script, why in (
            (None, "one"),
            ("ABORT four '' four three ''\n", "four"),
            ("'one\n", f"{chat}:1: .*"),
        ):
            if script is not None:
                chat.write_text(script)
            with pytest.raises(DialError, match=why):
                await backend.dial(lambda: None)
            await backend.hang_up()
        await backend.close()

    asyncio.run(dial())
