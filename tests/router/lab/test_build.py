"""Whole labs, by the command line, as a person has them."""

import errno
import json
import os
import shlex
import signal
import stat
import subprocess
import sysconfig
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from pyroute2 import NetlinkError

from router.config import PppLink, StaticLink, load
from router.errors import RouterError
from router.host.machine import netns
from router.lab import build, files, process, registry, topology
from router.lab.provider import Provider
from router.lab.registry import Lab
from router.link.types import Mode

pytestmark = [pytest.mark.net, pytest.mark.slow]

POSTROAD = Path(sysconfig.get_path("scripts")) / "postroad"
PATIENCE_S = 60

_numbers = count()


@pytest.fixture
def name() -> Iterator[str]:
    name = _new_name()
    yield name
    _remove(name)


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    name = _new_name()
    try:
        yield build.up(name, line=None)
    finally:
        _remove(name)


def test_it_is_up_and_then_gone(name: str) -> None:
    said = _postroad("lab", "up", "--name", name)
    assert said.returncode == 0, said.stderr
    lab = registry.find(name)
    assert "Device" in _exec(lab, "internet", "ip", "link", "show", "ppp0").stderr
    assert f"tail -f {lab.log('isp')}" in said.stdout
    assert f"postroad lab exec --name {name} alice" in said.stdout
    assert all(netns.exists(lab.namespace(node)) for node in topology.NODES)
    assert all(process.is_alive(one) for one in lab.processes)
    assert _postroad("lab", "down", "--name", name).returncode == 0
    assert _remains(lab) == []


def test_the_line_takes_and_lasts_as_long_as_one_likes(name: str) -> None:
    options = ("--dial-time", "1s", "--idle", "2s", "--rate", "128000")
    said = _postroad("lab", "up", "--name", name, *options)
    assert said.returncode == 0, said.stderr
    lab = registry.find(name)
    provider = Provider.load(files.provider_file(lab))
    assert (provider.dial_s, provider.rate) == (1, 128_000)
    (link,) = load(lab.config).links
    assert isinstance(link, PppLink)
    assert (link.idle_timeout, link.mode, link.dial_timeout) == (2, Mode.ON_DEMAND, 61)
    assert _exec(lab, "alice", "ping", "-c1", "-W5", topology.SERVER).returncode == 0


def test_a_lab_without_dialling_is_up_at_once(lab: Lab) -> None:
    assert not files.provider_file(lab).exists()
    assert not files.modem(lab).is_symlink()
    (link,) = load(lab.config).links
    assert isinstance(link, StaticLink)
    assert str(link.address) == f"{topology.EXTERNAL}/{topology.WAN_PREFIX}"


def test_a_lab_without_dialling_by_the_command_line(name: str) -> None:
    assert _postroad("lab", "up", "--name", name, "--static").returncode == 0
    lab = registry.find(name)
    assert _exec(lab, "alice", "ping", "-c1", "-W1", topology.SERVER).returncode == 0


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--dial-time", "soon"), "'soon' is not a duration such as"),
        (("--idle", "soon"), "'soon' is not a duration such as"),
        (("--rate", "fast"), "'fast' is not a valid integer"),
        (("--rate", "0"), "0 is not in the range 300<=x<=100000000"),
        (("--static", "--dial-time", "1s"), "--dial-time is for a line that is dialled"),
        (("--static", "--idle", "1s"), "--idle is for a line that is dialled"),
        (("--static", "--rate", "9600"), "--rate is for a line that is dialled"),
    ],
)
def test_what_makes_no_line_is_bad_usage(
    name: str, options: tuple[str, ...], sentence: str
) -> None:
    said = _postroad("lab", "up", "--name", name, *options)
    assert said.returncode == 2
    assert sentence in " ".join(said.stderr.split())
    assert name not in {one.name for one in registry.every()}


def test_secrets_are_for_root(name: str) -> None:
    lab = build.up(name)
    for file in (files.provider_file(lab), files.password_file(lab)):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    password = files.password_file(lab).read_text().strip()
    assert list(Provider.load(files.provider_file(lab)).users.values()) == [password]


def test_a_provider_that_does_not_start_says_why_and_leaves_nothing(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("secrets.token_hex", lambda _: name)
    monkeypatch.setattr(files, "provider_file", lambda lab: lab.directory / "none" / "isp.json")
    monkeypatch.setattr(files, "_write_provider", lambda _lab, _line: None)
    with pytest.raises(RouterError, match=r"provider ended at once.*last words:\n"):
        build.up(name)
    assert _remains(Lab(name, f"pr-{name}")) == []


@pytest.mark.parametrize("code", [0, 1, 7, 255])
def test_exec_passes_the_exit_code_on(lab: Lab, code: int) -> None:
    assert _exec(lab, "alice", "sh", "-c", f"exit {code}").returncode == code


def test_exec_passes_output_input_and_options_on(lab: Lab) -> None:
    assert _exec(lab, "bob", "sh", "-c", "cat; echo bad >&2", fed="good").stdout == "good"
    assert _exec(lab, "bob", "sh", "-c", "cat; echo bad >&2", fed="good").stderr == "bad\n"
    assert _exec(lab, "bob", "ip", "-br", "addr", "show", "dev", "eth0").stdout.split()[2:] == [
        "192.168.1.12/24"
    ]


def test_exec_leaves_the_command_its_options(lab: Lab) -> None:
    assert _exec(lab, "bob", "echo", "--name", "x", "--help", "-c").stdout == "--name x --help -c\n"


def test_exec_has_the_terminal(lab: Lab) -> None:
    command = f"{POSTROAD} lab exec --name {lab.name} alice tty"
    said = subprocess.run(
        ["script", "-qec", command, "/dev/null"], capture_output=True, text=True, check=False
    )
    assert (said.returncode, said.stdout[:9]) == (0, "/dev/pts/")


def test_exec_somewhere_else_is_refused(lab: Lab) -> None:
    said = _exec(lab, "carol", "true")
    assert said.returncode == 1
    assert "there is no carol in a lab; there are alice, bob, mail" in said.stderr


def test_programs_of_the_administrator_are_found(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    assert "/usr/sbin" in _exec(lab, "alice", "sh", "-c", "echo $PATH").stdout.strip().split(":")


def test_names_are_asked_of_the_router_who_asks_outside(lab: Lab) -> None:
    said = _exec(lab, "alice", "getent", "ahostsv4", "www.example.test").stdout
    assert said.split()[0] == topology.SERVER
    assert "query[A] www.example.test from 203.0.113.2" in lab.log("names").read_text()


def test_status_tells_what_is_there(lab: Lab) -> None:
    said = json.loads(_postroad("lab", "status", "--json").stdout)
    row = next(row for row in said["labs"] if row["name"] == lab.name)
    assert row["state"] == "up"
    assert row["processes"] == {one.role: one.pid for one in lab.processes}
    assert row["nodes"]["alice"] == lab.namespace("alice")
    assert lab.name in _postroad("lab", "status").stdout


def test_a_name_is_used_once(lab: Lab) -> None:
    said = _postroad("lab", "up", "--name", lab.name)
    assert said.returncode == 1
    assert f"the lab {lab.name} is up already" in said.stderr
    assert registry.find(lab.name).is_alive


def test_two_labs_do_not_meet(lab: Lab, name: str) -> None:
    other = build.up(name, line=None)
    page = f"http://{topology.EXTERNAL}/"
    for one in (lab, other):
        assert "You are 203.0.113.2" in _exec(one, "alice", "curl", "-sS", page).stdout
    build.down(name)
    assert _remains(other) == []
    assert "You are 203.0.113.2" in _exec(lab, "alice", "curl", "-sS", page).stdout


def test_labs_begun_at_once_all_come_up(lab: Lab) -> None:
    names = [_new_name() for _ in range(2)]
    started = [subprocess.Popen([POSTROAD, "lab", "up", "--name", name]) for name in names]
    try:
        assert [one.wait(PATIENCE_S) for one in started] == [0, 0]
        assert all(registry.find(name).is_alive for name in [*names, lab.name])
    finally:
        for name in names:
            _remove(name)


def test_a_lab_whose_router_was_killed_is_removed_by_the_next_up(name: str) -> None:
    crashed = build.up(name)
    inside = subprocess.Popen(build.command_in(crashed, "bob", ["sleep", "600"]))
    router = crashed.process("router")
    os.kill(router.pid, signal.SIGKILL)
    os.waitid(os.P_PID, router.pid, os.WEXITED | os.WNOWAIT)
    assert not crashed.is_alive
    assert _remains(crashed)
    fresh = build.up(name)
    assert inside.wait(PATIENCE_S) == -signal.SIGTERM
    assert _remains(crashed, but=fresh) == []
    assert fresh.is_alive


def test_a_lab_whose_making_was_killed_is_removed_by_the_next_up(name: str, tmp_path: Path) -> None:
    with registry.locked():
        half = registry.reserve(name)
        topology.build(half.prefix, cable=False)
        unrecorded = process.start("", half.namespace("mail"), ("sleep", "600"), tmp_path / "log")
    assert build.up(name).is_alive
    assert not process.is_alive(unrecorded)
    assert _remains(half, but=registry.find(name)) == []


def test_one_that_does_not_start_says_why_and_leaves_nothing(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "_forward_rules", lambda: "tcp 25 nowhere\n")
    monkeypatch.setattr("secrets.token_hex", lambda _: name)
    with pytest.raises(RouterError, match=r"router ended at once.*last words:\n.*forward.rules:1"):
        build.up(name)
    assert _remains(Lab(name, f"pr-{name}")) == []


@pytest.mark.parametrize(
    ("without", "sentence"),
    [
        ("setpriv --bounding-set=-sys_admin --inh-caps=-sys_admin", "which this machine refuses"),
        ("unshare -m sh -c 'mount --bind -o ro /etc /etc && exec \"$@\"' -", "Read-only"),
    ],
    ids=["no right to make namespaces", "/etc cannot be written"],
)  # fmt: skip
def test_what_the_machine_refuses_is_one_sentence(name: str, without: str, sentence: str) -> None:
    line = [*shlex.split(without), str(POSTROAD), "lab", "up", "--name", name]
    said = subprocess.run(line, capture_output=True, text=True, check=False, timeout=PATIENCE_S)
    assert said.returncode == 1
    assert said.stderr.startswith("postroad: a lab makes ")
    assert sentence in said.stderr
    assert len(said.stderr.splitlines()) == 1
    assert name not in {one.name for one in registry.every()}


def test_without_veth_and_bridge_it_is_one_sentence(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_prefix: str, *, cable: bool) -> None:
        assert not cable
        raise NetlinkError(errno.EOPNOTSUPP)

    monkeypatch.setattr(topology, "build", refuse)
    with pytest.raises(RouterError, match=r"veth pairs and a bridge.*: Operation not supported$"):
        build.up(name)


def test_a_lab_whose_record_is_damaged_is_taken_down(name: str) -> None:
    lab = build.up(name)
    record = lab.directory / "lab.json"
    record.write_text(record.read_text()[:40])
    try:
        assert f"{record} is damaged" in _postroad("lab", "status").stderr
    finally:
        said = _postroad("lab", "down", "--name", name)
    assert (said.returncode, said.stdout) == (0, f"The lab {name} is gone.\n")
    assert _remains(lab) == []


@pytest.mark.parametrize("ours", [True, False])
def test_the_folder_in_etc_goes_if_a_lab_made_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, ours: bool
) -> None:
    etc = tmp_path / "netns"
    monkeypatch.setattr(topology, "_ETC", etc)
    monkeypatch.setattr(topology, "_ETC_IS_OURS", etc / ".postroad-lab")
    if not ours:
        etc.mkdir()
    prefix = f"pr-{name}"
    try:
        topology.build(prefix, cable=True)
        assert len(list(etc.glob("*/resolv.conf"))) == 3
    finally:
        topology.remove(prefix)
    assert etc.exists() is not ours


def test_there_is_nothing_to_take_down_twice(name: str) -> None:
    said = _postroad("lab", "down", "--name", name)
    assert said.returncode == 1
    assert f"there is no lab {name}" in said.stderr


def _new_name() -> str:
    return f"test-{os.getpid()}-{next(_numbers)}"


def _postroad(*arguments: str, fed: str = "") -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [POSTROAD, *arguments], input=fed, capture_output=True, text=True, check=False,
        timeout=PATIENCE_S,
    )  # fmt: skip


def _exec(lab: Lab, node: str, *command: str, fed: str = "") -> "subprocess.CompletedProcess[str]":
    return _postroad("lab", "exec", "--name", lab.name, node, *command, fed=fed)


def _remains(lab: Lab, *, but: Lab | None = None) -> list[str]:
    """Return what is left of a lab: namespaces, their files under /etc, processes, folder."""
    names = [topology.namespace(lab.prefix, node) for node in topology.NODES]
    left = [name for name in names if netns.exists(name)]
    left += [str(path) for path in Path("/etc/netns").glob(f"{lab.prefix}-*")]
    left += [one.role for one in lab.processes if process.is_alive(one)]
    if but is None and lab.directory.exists():
        left.append(str(lab.directory))
    return left


def _remove(name: str) -> None:
    if name in {one.name for one in registry.every()}:
        build.down(name)
