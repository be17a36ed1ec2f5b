"""The lab's mail and news servers: line dialogs just real enough for real clients.

Each greets a caller with the address it sees (RFC 5321 section 4.2, RFC 3977 section 5.1). Mail
is taken and counted, not kept.
"""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from router.lab.eventlog import note

__all__ = ["NNTP", "SMTP", "Dialog", "serve"]

_LINE_LIMIT = 65536  # octets; asyncio's own default, said here because long lines end a call


@dataclass(frozen=True)
class Dialog:
    """What a server says: its greeting (`{remote}` is the caller), and a reply to each verb.

    After a reply in `takes_text` the caller sends lines up to a lone dot, answered by the value.
    """

    service: str
    greeting: str
    replies: Mapping[str, str]
    unknown: str
    goodbye: str
    takes_text: Mapping[str, str] = field(default_factory=dict)


SMTP = Dialog(
    service="smtp",
    greeting="220 mail.example.test ESMTP, you are {remote}",
    replies={
        "EHLO": "250 mail.example.test",
        "HELO": "250 mail.example.test",
        "MAIL": "250 2.1.0 go on",
        "RCPT": "250 2.1.5 go on",
        "DATA": "354 end with a dot",
        "RSET": "250 2.0.0 forgotten",
        "NOOP": "250 2.0.0 nothing done",
        "HELP": "214 2.0.0 RFC 5321",
    },
    unknown="500 5.5.1 no such command",
    goodbye="221 2.0.0 goodbye",
    takes_text={"DATA": "250 2.0.0 taken"},
)

NNTP = Dialog(
    service="nntp",
    greeting="201 news.example.test, you are {remote}",
    replies={
        "CAPABILITIES": "101 capabilities follow\r\nVERSION 2\r\nREADER\r\n.",
        "MODE": "201 no posting",
        "GROUP": "411 no such group",
        "LIST": "215 no groups\r\n.",
    },
    unknown="500 no such command",
    goodbye="205 goodbye",
)


async def serve(dialog: Dialog, port: int) -> None:
    """Hold this dialog with every caller on the TCP port, until cancelled."""

    async def call(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, ValueError):  # hung up; a line beyond the limit
            await _converse(dialog, reader, writer)
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()

    server = await asyncio.start_server(call, "0.0.0.0", port, limit=_LINE_LIMIT)  # noqa: S104
    async with server:  # all addresses of its own namespace
        await server.serve_forever()


async def _converse(
    dialog: Dialog, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    remote, own = writer.get_extra_info("peername"), writer.get_extra_info("sockname")
    note(dialog.service, remote, own, "greeted")
    _say(writer, dialog.greeting.format(remote=remote[0]))
    while line := await reader.readline():
        verb = line.split(b" ", 1)[0].strip().decode("ascii", "replace").upper()
        if verb == "QUIT":
            _say(writer, dialog.goodbye)
            break
        _say(writer, dialog.replies.get(verb, dialog.unknown))
        if verb in dialog.takes_text:
            note(dialog.service, remote, own, f"took {await _text_length(reader)} octets")
            _say(writer, dialog.takes_text[verb])
        await writer.drain()
    await writer.drain()


def _say(writer: asyncio.StreamWriter, text: str) -> None:
    writer.write(f"{text}\r\n".encode())


async def _text_length(reader: asyncio.StreamReader) -> int:
    length = 0
    while (line := await reader.readline()) not in (b".\r\n", b".\n", b""):
        length += len(line)
    return length
