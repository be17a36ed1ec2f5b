"""The demonstration succeeds, and each of its steps would notice if the router did not work."""

import os
import signal
import subprocess
import sysconfig
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest

from router.cli import main
from router.lab import build, demo, dialling, process, registry, ride
from router.lab.files import Line, provider_file
from router.lab.provider import Provider
from router.lab.registry import Lab
from router.lab.stage import Stage, StepError
from router.lab.steps import STEPS, Step

pytestmark = [pytest.mark.net, pytest.mark.slow]

POSTROAD = Path(sysconfig.get_path("scripts")) / "postroad"

_numbers = count()


@pytest.fixture(scope="module")
def cut_off() -> Iterator[Lab]:
    """A lab in which nothing finds a way to the router, and whose line is always up."""
    name = f"test-demo-{os.getpid()}-{next(_numbers)}"
    lab = build.up(name, line=None)
    try:
        for node in ("alice", "bob", "mail"):
            _in(lab, node, "ip", "route", "replace", "unreachable", "default")
            _in(lab, node, "ip", "route", "add", "unreachable", "192.168.1.1")
        _in(lab, "internet", "ip", "route", "add", "unreachable", "203.0.113.2")
        _in(lab, "internet", "sh", "-c", f"tcpdump -c0 -w {lab.directory}/outside.pcap || :")
        yield lab
    finally:
        build.down(name)


@pytest.fixture(scope="module")
def engaged() -> Iterator[Lab]:
    """A lab whose provider's line is always engaged."""
    name = f"test-demo-{os.getpid()}-{next(_numbers)}"
    lab = build.up(name, line=Line(dial_s=0.1))
    try:
        file = provider_file(lab)
        replace(Provider.load(file), busy=True).save(file)
        yield lab
    finally:
        build.down(name)


def test_every_step_succeeds_and_the_lab_is_gone(capfd: pytest.CaptureFixture[str]) -> None:
    assert _exit_code_of_demo() == 0
    said = capfd.readouterr().out
    assert f"{len(STEPS)} of {len(STEPS)} steps succeeded" in said
    assert "FAILED" not in said
    for shown in (
        "$ postroad why",
        "$ postroad sessions",
        "$ postroad mappings",
        "tcp 25 -> 192.168.1.10",
    ):
        assert shown in said
    assert not _has_lab(os.getpid())


def test_a_failed_step_fails_the_demonstration(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def fail(stage: Stage) -> None:
        stage.run("alice", "echo this was said; exit 3")

    def stumble(_stage: Stage) -> None:
        raise LookupError("nothing there")

    steps = (
        Step("this one fails", fail),
        Step("this one stumbles", stumble),
        Step("this one succeeds", dialling.refuse),
    )
    monkeypatch.setattr(demo, "STEPS", steps)
    assert _exit_code_of_demo() == 1
    said = capfd.readouterr().out
    assert "ended with exit code 3 instead of 0\nthis was said\n" in said
    assert "FAILED: LookupError: nothing there" in said
    assert "1 of 3 steps succeeded" in said
    assert "What the router has logged" in said
    assert not _has_lab(os.getpid())


def test_a_failed_table_fails_the_demonstration(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(demo, "STEPS", ())
    monkeypatch.setattr(demo, "_TABLES", ("sessions --protocol foo", "status"))
    assert _exit_code_of_demo() == 1
    assert "FAILED: exit code 2" in capfd.readouterr().out


def test_killed_it_leaves_a_lab_that_the_next_up_removes() -> None:
    with subprocess.Popen([POSTROAD, "lab", "demo"], stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        assert "namespaces pr-" in running.stdout.readline()
        running.kill()
    left = registry.find(f"demo-{running.pid}")
    assert process.is_alive(left.process("router"))
    assert not left.is_alive
    with registry.locked():
        build.sweep()
    assert not _has_lab(running.pid)
    assert not process.is_alive(left.process("router"))


def test_a_command_without_end_fails_its_step(
    cut_off: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("router.lab.stage._LIMIT_S", 0.2)
    with pytest.raises(StepError, match=r"sleep 600 did not end within 0 s"):
        Stage(cut_off).run("alice", "exec sleep 600")
    assert process.in_namespace(cut_off.namespace("alice")) == []


def test_interrupted_it_takes_its_lab_down() -> None:
    command = [POSTROAD, "lab", "demo"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        assert "namespaces pr-" in running.stdout.readline()
        assert _has_lab(running.pid)
        running.send_signal(signal.SIGTERM)
    assert running.returncode == 128 + signal.SIGTERM
    assert not _has_lab(running.pid)


# Silence is what a router that is cut off gives as well, and a lease asks nothing of hosts. These
# are judged below.
@pytest.mark.parametrize(
    "step",
    [step for step in STEPS if step.perform not in (ride.knock, dialling.lease)],
    ids=lambda step: step.title,
)
def test_a_step_fails_where_nothing_gets_through(
    cut_off: Lab, step: Step, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dialling, "_FALLS_WITHIN_S", 0.1)
    with pytest.raises(StepError):
        step.perform(Stage(cut_off))


# The two others are about a line that is down.
@pytest.mark.parametrize("step", [*STEPS[2:5], *STEPS[-5:-1]], ids=lambda step: step.title)
def test_a_step_fails_without_a_line(
    engaged: Lab, step: Step, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dialling, "_FALLS_WITHIN_S", 0.1)
    with pytest.raises(StepError):
        step.perform(Stage(engaged))


def _open_port_81(lab: Lab) -> None:
    subprocess.run(
        [POSTROAD, "forward", "add", "-c", lab.config, "tcp 81 -> 192.168.1.10:80"], check=True
    )


def _let_a_private_address_out(lab: Lab) -> None:
    _in(lab, "wan", "ip", "addr", "add", "192.168.1.11/32", "dev", "lo")
    _in(lab, "wan", "sh", "-c", "ping -c 1 -W 1 -I 192.168.1.11 203.0.113.1 || :")


@pytest.mark.parametrize(
    ("sabotage", "perform", "failure"),
    [
        (_open_port_81, ride.knock, "exit code 0 instead of 28"),
        (_let_a_private_address_out, ride.look_for_leaks, "none of them bears a private address"),
    ],
    ids=["a port more is open", "a packet leaves untranslated"],
)
def test_a_step_fails_where_too_much_gets_through(
    sabotage: Callable[[Lab], None], perform: Callable[[Stage], None], failure: str
) -> None:
    name = f"test-demo-{os.getpid()}-{next(_numbers)}"
    lab = build.up(name, line=None)
    try:
        with demo.recorded(lab):
            _in(lab, "alice", "ping", "-c", "1", "198.51.100.10")
            sabotage(lab)
        with pytest.raises(StepError, match=failure):
            perform(Stage(lab))
    finally:
        build.down(name)


def _in(lab: Lab, node: str, *command: str) -> None:
    subprocess.run(build.command_in(lab, node, command), check=True, capture_output=True)


def _exit_code_of_demo() -> object:
    with pytest.raises(SystemExit) as ended:
        main(["lab", "demo"])
    return ended.value.code


def _has_lab(pid: int) -> bool:
    return f"demo-{pid}" in [lab.name for lab in registry.every()]
