import fcntl
import os
import signal
import subprocess
import sys
import termios
import threading
import time
from pathlib import Path
from typing import IO

import pytest
from aiohttp import web
from scapy.layers.inet import UDP
from scapy.utils import PcapReader

from router.host.control.pcapng import packet_block, preamble, statistics_block
from router.notation import parse_packet
from tests.lab.serving import serving
from tests.router.cli.conftest import RunningRouter, command

PIPE_BYTES = 4096  # the smallest there is
OUT = "udp 192.168.1.10:4000 -> 198.51.100.7:53"


def test_both_sides_of_the_translation_are_written(running: RunningRouter, tmp_path: Path) -> None:
    path = tmp_path / "out.pcapng"
    sender = Repeating(running)
    with sender:
        done = running.command("capture", "both", "-w", str(path), "--count", "4")
    assert (done.exit_code, done.stderr) == (0, "4 packets captured, 0 left out\n")
    with PcapReader(str(path)) as reader:
        seen = {
            (frame.sniffed_on, frame.direction, frame.src, frame[UDP].sport) for frame in reader
        }
    assert seen == {("lan0", 1, "192.168.1.10", 4000), ("wan0", 2, "203.0.113.2", 4000)}
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_file_that_cannot_be_written(running: RunningRouter, tmp_path: Path) -> None:
    done = running.command("capture", "lan", "-w", str(tmp_path / "no" / "file"))
    assert done.exit_code == 1
    assert "cannot write" in done.stderr
    assert "No such file or directory" in done.stderr


def test_a_full_disk_is_one_sentence(running: RunningRouter) -> None:
    done = running.command("capture", "lan", "-w", "/dev/full")
    assert (done.exit_code, done.stderr) == (
        1,
        "0 packets captured, 0 left out\n"
        "postroad: cannot write /dev/full: No space left on device\n",
    )


def test_a_file_is_not_emptied_for_a_router_that_does_not_answer(tmp_path: Path) -> None:
    path = tmp_path / "out.pcapng"
    path.write_text("what was captured before")
    done = command("capture", "lan", "-w", path, "--control", tmp_path / "control.sock")
    assert (done.exit_code, path.read_text()) == (1, "what was captured before")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_a_capture_into_a_pipe_nobody_reads(
    running: RunningRouter, number: signal.Signals
) -> None:
    line = [sys.executable, "-m", "router", "capture", "lan", "-w", "-", "-c", running.config_path]
    capture = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert capture.stdout is not None
    assert capture.stderr is not None
    fcntl.fcntl(capture.stdout, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    try:
        with Repeating(running, f"{OUT} length {PIPE_BYTES // 3}"):
            _wait_until_full(capture.stdout)
            capture.send_signal(number)
            assert capture.wait(10) == 0
        assert capture.stderr.read().endswith(b" packets captured, 0 left out\n")
    finally:
        capture.kill()
        capture.communicate()


def _wait_until_full(pipe: IO[bytes]) -> None:
    """Wait until what is in the pipe leaves no room for one more packet, and one more has come."""
    deadline = time.monotonic() + 20
    while _waiting(pipe) <= 2 * PIPE_BYTES // 3:
        assert time.monotonic() < deadline, _waiting(pipe)
        time.sleep(0.01)
    time.sleep(0.3)


def _waiting(pipe: IO[bytes]) -> int:
    return int.from_bytes(fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)), sys.byteorder)


@pytest.mark.parametrize("count", [[], ["--count", "1"]])
def test_what_was_captured_is_told_when_the_router_stops(tmp_path: Path, count: list[str]) -> None:
    blocks = preamble(["lan0"], "test") + packet_block(0, 1, parse_packet(OUT), inbound=True)

    async def stop(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(blocks + statistics_block(0, 1, 7))
        assert request.transport is not None
        request.transport.close()
        return response

    application = web.Application()
    application.add_routes([web.get("/v1/capture", stop)])
    socket = tmp_path / "control.sock"
    with serving(application, socket):
        done = command("capture", "lan", "-w", os.devnull, "--control", socket, *count)
    broken = f"postroad: the router at {socket} broke off its answer\n"
    assert done.exit_code == (0 if count else 1)
    assert done.stderr == "1 packets captured, 7 left out\n" + ("" if count else broken)


def test_the_frames_of_a_line_are_written(running: RunningRouter, tmp_path: Path) -> None:
    path, isp = tmp_path / "line.pcapng", running.wiretaps.on("isp")
    request = bytes.fromhex("c023 01 07 0010 05") + b"alice\x05tulip"
    done = threading.Event()

    def talk() -> None:
        while not done.wait(0.01):
            running.loop.call_soon_threadsafe(isp, request, False)

    talking = threading.Thread(target=talk)
    talking.start()
    try:
        told = running.command("capture", "line", "-w", str(path), "--link", "isp", "--count", "1")
    finally:
        done.set()
        talking.join()
    assert (told.exit_code, told.stderr) == (0, "1 packets captured, 0 left out\n")
    assert b"\xff\x03" + request[:-5] + b"*****" in path.read_bytes()


def test_a_line_without_ppp_is_one_sentence(running: RunningRouter, tmp_path: Path) -> None:
    path = tmp_path / "line.pcapng"
    done = running.command("capture", "line", "-w", str(path))
    assert (done.exit_code, path.exists()) == (1, False)
    assert done.stderr == "postroad: there is no link that speaks PPP\n"


def test_a_link_is_named_for_lines_only(running: RunningRouter) -> None:
    done = running.command("capture", "wan", "-w", os.devnull, "--link", "isp")
    assert done.exit_code == 2
    assert "--link goes with the side line" in done.stderr


class Repeating:
    """Sends a packet again and again, because a capture begins when it begins."""

    def __init__(self, running: RunningRouter, packet: str = OUT) -> None:
        self._running = running
        self._packet = packet
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._send)

    def _send(self) -> None:
        while not self._done.wait(0.01):
            self._running.outbound(self._packet)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()
