"""Commands as processes: what they are given, what is heard of them, and how they end."""

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from router.errors import DeviceError
from router.host.lines import process as lines_process
from router.host.lines.process import LONGEST_LINE, Process, start
from tests.lab.box import Box
from tests.lab.linerigs import eventually

PYTHON = [sys.executable, "-c"]
SHELL = ["/bin/sh", "-c"]


class Heard(list[str]):
    """What a command has said; `after` waits for a line."""

    async def after(self, line: str) -> None:
        await eventually(lambda: line in self)


def play(
    command: list[str], story: Callable[[Process, Heard], Awaitable[None]], netns: str = ""
) -> Heard:
    async def whole() -> Heard:
        async with asyncio.timeout(20):
            heard = Heard()
            process = start(command, netns=netns, environment={"A": "1"}, hear=heard.append)
            try:
                await story(process, heard)
            finally:
                await process.end()
            return heard

    return asyncio.run(whole())


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


async def to_the_end(process: Process, _heard: Heard) -> None:
    await process.wait()


@pytest.mark.parametrize(
    ("script", "code"), [("exit 0", 0), ("exit 7", 7), ("kill -9 $$", -9), ("kill -15 $$", -15)]
)
def test_how_it_ended_is_known(script: str, code: int) -> None:
    async def story(process: Process, _: Heard) -> None:
        assert await process.wait() == code
        assert await process.wait() == code
        assert not process.is_running

    play([*SHELL, script], story)


def test_lines_are_heard_as_they_are_said(tmp_path: Path) -> None:
    async def story(process: Process, heard: Heard) -> None:
        await heard.after("two words")
        assert process.is_running
        end.touch()
        await process.wait()

    end = tmp_path / "end"
    script = f"echo one; echo two words; until [ -e {end} ]; do sleep 0.01; done; printf last"
    assert play([*SHELL, script], story) == ["one", "two words", "last"]


@pytest.mark.parametrize(
    ("script", "heard"),
    [
        (f"print('x' * {LONGEST_LINE})", ["x" * LONGEST_LINE]),
        (f"print('x' * {LONGEST_LINE + 1})", []),
        ("print('x' * 10_000_000); print('after')", ["after"]),
        ("import sys; sys.stdout.buffer.write(b'\\xff\\n')", ["\N{REPLACEMENT CHARACTER}"]),
        ("print('  spaces  ')\nprint()", ["spaces"]),
        ("import sys; print('secret', file=sys.stderr)", []),
        ("print('\\n'.join(map(str, range(20000))))", [str(number) for number in range(20000)]),
    ],
)
def test_what_is_heard(script: str, heard: list[str]) -> None:
    assert play([*PYTHON, script], to_the_end) == heard


FACTS = """
import json, os, sys
print(json.dumps({
    "input": sys.stdin.read(),
    "leads": os.getpid() == os.getsid(0) == os.getpgid(0),
    "files": [fd for fd in sorted(map(int, os.listdir("/proc/self/fd"))) if os.path.exists(
        f"/proc/self/fd/{fd}")],
    "masks": dict(line.split() for line in open("/proc/self/status") if line[:3] == "Sig"
        and line[:4] != "SigQ"),
}))
"""


def test_it_gets_nothing_from_the_router(tmp_path: Path) -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    try:
        with (tmp_path / "file").open("w") as inheritable:
            os.set_inheritable(inheritable.fileno(), True)
            (told,) = play([*PYTHON, FACTS], to_the_end)
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
    facts = json.loads(told)
    assert facts["input"] == ""
    assert facts["leads"]
    assert facts["files"] == [0, 1, 2]
    assert int(facts["masks"]["SigBlk:"], 16) == 0


def test_its_environment_is_what_it_is_given() -> None:
    assert play(["/usr/bin/env"], to_the_end) == ["A=1"]


class TestEnd:
    def test_a_group_that_listens_ends_at_once(self) -> None:
        async def story(process: Process, heard: Heard) -> None:
            await heard.after("begun")
            begun = time.monotonic()
            await process.end()
            assert time.monotonic() - begun < 1
            assert not alive(process.pid)

        play([*SHELL, "sleep 600 & echo begun; wait"], story)

    def test_one_that_does_not_is_killed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(lines_process, "GRACE_S", 0.1)

        async def story(process: Process, heard: Heard) -> None:
            await heard.after("begun")
            members = [int(line) for line in heard if line.isdigit()]
            assert all(map(alive, [process.pid, *members]))
            await process.end()
            assert await process.wait() == -signal.SIGKILL
            assert not any(map(alive, [process.pid, *members]))

        deaf = "trap '' TERM; (trap '' TERM; while :; do sleep 1; done) & echo $!; echo begun; "
        play([*SHELL, deaf + "while :; do sleep 1; done"], story)

    def test_those_in_the_background_go_with_it(self) -> None:
        async def story(process: Process, heard: Heard) -> None:
            assert await process.wait() == 0
            (member,) = map(int, heard)
            assert alive(member)
            await process.end()
            assert not alive(member)

        play([*SHELL, "sleep 600 & echo $!"], story)

    def test_its_number_stays_its_own_until_then(self) -> None:
        async def story(process: Process, _: Heard) -> None:
            await process.wait()
            assert Path(f"/proc/{process.pid}").exists()
            await process.end()
            assert not Path(f"/proc/{process.pid}").exists()
            await process.end()

        play([*SHELL, "exit 0"], story)

    def test_strangers_are_not_touched(self) -> None:
        async def story(process: Process, heard: Heard) -> None:
            await eventually(lambda: heard)
            (stranger,) = map(int, heard)
            await process.end()
            assert alive(stranger)
            os.kill(stranger, signal.SIGKILL)

        play([*SHELL, "setsid sh -c 'echo $$; exec sleep 600' & exit 0"], story)

    def test_what_the_background_says_is_heard_and_does_not_block_it(self) -> None:
        async def story(process: Process, heard: Heard) -> None:
            await process.wait()
            await heard.after("still here")

        play([*SHELL, "(sleep 0.1; seq 50000; echo still here) &"], story)

    def test_no_descriptor_stays(self) -> None:
        def count() -> int:
            return len(list(Path("/proc/self/fd").iterdir()))

        async def whole() -> None:
            before = count()
            for _ in range(3):
                process = start(["/bin/true"], netns="", environment={}, hear=print)
                await process.wait()
                await process.end()
            assert count() == before

        asyncio.run(whole())


@pytest.mark.parametrize("command", ["/nowhere/up", "/etc/passwd", "/"])
def test_one_that_cannot_be_started_leaves_no_descriptor(command: str) -> None:
    async def whole() -> None:
        before = list(Path("/proc/self/fd").iterdir())
        with pytest.raises(OSError, match=r"\w"):
            start([command], netns="", environment={}, hear=print)
        assert list(Path("/proc/self/fd").iterdir()) == before

    asyncio.run(whole())


@pytest.mark.net
def test_it_runs_in_its_namespace(box: Box) -> None:
    heard = play(["/usr/sbin/ip", "-o", "-4", "addr", "show", "dev", "eth0"], to_the_end, box.alice)
    assert "192.168.1.10/24" in heard[0]


@pytest.mark.net
def test_a_missing_namespace_is_one_sentence(box: Box) -> None:
    with pytest.raises(DeviceError, match=f"^there is no network namespace {box.extra}$"):
        play(["/bin/true"], to_the_end, box.extra)
