import asyncio
import socket
from pathlib import Path

import pytest

from router.lab import dialogs, eventlog

LETTER = [
    b"EHLO me",
    b"MAIL FROM:<a>",
    b"RCPT TO:<b>",
    b"DATA",
    b"Subject: x",
    b"..",
    b".",
    b"QUIT",
]

CONVERSATIONS = [
    pytest.param(
        dialogs.SMTP,
        LETTER,
        ["220 mail.example.test ESMTP, you are 127.0.0.1", "250 ", "250 ", "250 ", "354 ", "250 ",
         "221 "],
        ["greeted", "took 16 octets"],
        id="a letter",
    ),
    pytest.param(
        dialogs.SMTP, [b"help", b"WHAT", b"QUIT"],
        ["220 ", "214 ", "500 5.5.1 no such command", "221 "], ["greeted"],
        id="verbs in any case, and unknown ones",
    ),
    pytest.param(
        dialogs.NNTP, [b"MODE READER", b"QUIT"],
        ["201 news.example.test, you are 127.0.0.1", "201 ", "205 goodbye"], ["greeted"],
        id="news",
    ),
    pytest.param(dialogs.NNTP, [b"\xff\x00"], ["201 ", "500 "], ["greeted"], id="not a verb"),
    pytest.param(dialogs.NNTP, [], ["201 "], ["greeted"], id="a caller who says nothing"),
    pytest.param(dialogs.SMTP, [b"x" * 70000], ["220 "], ["greeted"], id="a line without end"),
    pytest.param(
        dialogs.SMTP, [b"DATA", b"half"], ["220 ", "354 ", "250 "], ["greeted", "took 6 octets"],
        id="hung up within a letter",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("dialog", "said", "answers", "noted"), CONVERSATIONS)
def test_a_conversation(
    dialog: dialogs.Dialog,
    said: list[bytes],
    answers: list[str],
    noted: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    heard = asyncio.run(_converse(dialog, b"".join(line + b"\r\n" for line in said)))
    assert len(heard) == len(answers)
    assert all(line.startswith(answer) for line, answer in zip(heard, answers, strict=True))
    log = tmp_path / "log"
    log.write_text(capsys.readouterr().out)
    events = eventlog.events(log)
    assert [event.what for event in events] == noted
    assert {event.remote_address for event in events} == {"127.0.0.1"}
    assert {event.service for event in events} == {dialog.service}


def test_lines_that_are_no_events_are_passed_over(tmp_path: Path) -> None:
    log = tmp_path / "log"
    lines = ["", "Traceback (most recent call last):", "2026-01-02T03:04:05.678+00:00 smtp a b"]
    log.write_text("\n".join([*lines, "2026-01-02T03:04:05.678+00:00 smtp a:1 b:2 greeted"]))
    assert [event.what for event in eventlog.events(log)] == ["greeted"]


async def _converse(dialog: dialogs.Dialog, said: bytes) -> list[str]:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    server = asyncio.create_task(dialogs.serve(dialog, port))
    reader, writer = await _connect(port)
    writer.write(said)
    writer.write_eof()
    heard = await _read(reader)
    writer.close()
    server.cancel()
    others = asyncio.all_tasks() - {asyncio.current_task()}
    await asyncio.gather(*others, return_exceptions=True)
    return heard.decode().splitlines()


async def _connect(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    while True:
        try:
            return await asyncio.open_connection("127.0.0.1", port)
        except ConnectionRefusedError:  # not yet listening
            await asyncio.sleep(0)


async def _read(reader: asyncio.StreamReader) -> bytes:
    heard = b""
    try:
        while line := await reader.readline():
            heard += line
    except ConnectionResetError:  # so ends a call of which something was left unread
        pass
    return heard
