import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from router.errors import DeviceError
from router.lab import process
from router.lab.process import Process
from tests.lab.box import Box


@pytest.fixture
def sleeper(tmp_path: Path) -> Iterator[Process]:
    one = process.start("sleeper", "", ("sleep", "60"), tmp_path / "log")
    yield one
    process.stop(one, grace_s=1)


def test_a_process_runs_until_it_is_stopped(sleeper: Process) -> None:
    assert process.is_alive(sleeper)
    process.stop(sleeper, grace_s=5)
    assert not process.is_alive(sleeper)
    process.stop(sleeper, grace_s=5)


def test_its_output_and_its_errors_go_to_the_log(tmp_path: Path) -> None:
    log = tmp_path / "log"
    one = process.start("talker", "", ("sh", "-c", "echo this; echo that >&2"), log)
    os.waitpid(one.pid, 0)
    assert log.read_text() == "this\nthat\n"


def test_it_is_in_a_session_of_its_own(sleeper: Process) -> None:
    assert os.getsid(sleeper.pid) == sleeper.pid != os.getsid(0)


def test_one_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    usual = signal.signal(signal.SIGTERM, signal.SIG_IGN)  # what is ignored stays so in a child
    try:
        one = process.start("deaf", "", ("sleep", "60"), tmp_path / "log")
    finally:
        signal.signal(signal.SIGTERM, usual)
    began = time.monotonic()
    process.stop(one, grace_s=0.2)
    assert time.monotonic() - began >= 0.2
    assert not process.is_alive(one)


def test_a_stranger_with_the_same_number_is_left_alone(sleeper: Process) -> None:
    stranger = replace(sleeper, start_time=sleeper.start_time - 1)
    assert not process.is_alive(stranger)
    process.stop(stranger, grace_s=1)
    assert process.is_alive(sleeper)


def test_a_zombie_is_not_alive() -> None:
    child = subprocess.Popen(["sleep", "60"])
    stat = Path(f"/proc/{child.pid}/stat").read_text().rpartition(")")[2].split()
    one = Process("child", child.pid, int(stat[19]))
    assert process.is_alive(one)
    child.send_signal(signal.SIGKILL)
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert not process.is_alive(one)
    child.wait()


def test_a_missing_program_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match="no-such-program is not installed"):
        process.start("nothing", "", ("no-such-program",), tmp_path / "log")


def test_listening_is_found_without_a_connection(sleeper: Process) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        process.wait_until_listening(sleeper, port, timeout_s=0)
        server.setblocking(False)
        with pytest.raises(BlockingIOError):
            server.accept()
    with pytest.raises(DeviceError, match=f"sleeper does not listen on port {port}"):
        process.wait_until_listening(sleeper, port, timeout_s=0.05)


def test_waiting_for_one_that_ends_ends(tmp_path: Path) -> None:
    one = process.start("brief", "", ("true",), tmp_path / "log")
    with pytest.raises(DeviceError, match="brief ended at once"):
        process.wait_until_listening(one, 1, timeout_s=30)


@pytest.mark.net
def test_a_namespace_tells_its_processes(box: Box, tmp_path: Path) -> None:
    assert process.in_namespace(box.alice) == []
    one = process.start("", box.alice, ("sleep", "60"), tmp_path / "log")
    try:
        assert process.in_namespace(box.alice) == [one]
        assert process.in_namespace(box.outside) == []
    finally:
        process.stop(one, grace_s=5)
    assert process.in_namespace(box.alice) == []


@pytest.mark.net
def test_a_missing_namespace_has_none_and_starts_none(box: Box, tmp_path: Path) -> None:
    assert process.in_namespace(box.extra) == []
    with pytest.raises(DeviceError, match="there is no network namespace"):
        process.start("", box.extra, ("sleep", "60"), tmp_path / "log")
