"""What the command line's tests do not show: two clients at once, and `default`."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from router.config import load
from router.daemon.forwards import RunningForwards
from router.errors import ConfigError, ControlError
from router.forwarder import Forwarder
from router.host.dataplane.loop import DataPlane
from router.rules import render
from tests.lab.links import a_forwarder
from tests.lab.scripted import FrameSocket, ManualClock

CONFIG = """
[router]
forward_rules = "forward.rules"
[lan]
address = "192.168.1.1/24"
[[link]]
name = "isp"
backend = "static"
address = "203.0.113.2/24"
"""


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    path = tmp_path / "forward.rules"
    path.write_text("tcp 25 -> 192.168.1.10\n")
    return path


@pytest.fixture
def forwarder(rules: Path) -> Forwarder:
    (rules.parent / "router.toml").write_text(CONFIG)
    config = load(rules.parent / "router.toml")
    return a_forwarder(config.forwarder_config(), now=0.0, forwards=config.load_forwards())


@pytest.fixture
def forwards(rules: Path, forwarder: Forwarder) -> Iterator[RunningForwards]:
    lan, wan = FrameSocket("lan0"), FrameSocket("wan0")
    plane = DataPlane(forwarder, lan, wan, clock=ManualClock())
    plane.start()
    yield RunningForwards(plane, load(rules.parent / "router.toml"))
    plane.stop()
    lan.close()
    wan.close()


def in_force(forwarder: Forwarder) -> list[str]:
    return [render(rule) for rule in forwarder.forwards]


def test_clients_at_once_lose_no_rule(forwards: RunningForwards, forwarder: Forwarder) -> None:
    async def all_at_once() -> None:
        await asyncio.gather(
            *(forwards.add(f"udp {port} -> 192.168.1.20") for port in range(5000, 5020)),
            forwards.remove("tcp 25"),
        )

    asyncio.run(all_at_once())
    assert sorted(in_force(forwarder)) == [
        f"udp {port} -> 192.168.1.20" for port in range(5000, 5020)
    ]


def test_of_two_equal_rules_at_once_one_is_refused(
    forwards: RunningForwards, forwarder: Forwarder
) -> None:
    async def twice() -> list[object]:
        one = forwards.add("default -> 192.168.1.30")
        other = forwards.add("default -> 192.168.1.31")
        return await asyncio.gather(one, other, return_exceptions=True)

    first, second = asyncio.run(twice())
    assert first == {"rule": "default -> 192.168.1.30", "origin": "control"}
    assert isinstance(second, ControlError)
    assert in_force(forwarder) == ["tcp 25 -> 192.168.1.10", "default -> 192.168.1.30"]


def test_a_default_host_is_removed_by_its_word(
    forwards: RunningForwards, forwarder: Forwarder
) -> None:
    async def there_and_gone() -> None:
        await forwards.add("default -> 192.168.1.30")
        await forwards.remove("default")

    asyncio.run(there_and_gone())
    assert in_force(forwarder) == ["tcp 25 -> 192.168.1.10"]


@pytest.mark.parametrize("text", ["", "tcp 1 -> 192.168.1.9\ntcp 2 -> 192.168.1.9", "tcp 0 -> x"])
def test_anything_but_one_sound_rule_is_refused(forwards: RunningForwards, text: str) -> None:
    with pytest.raises(ConfigError):
        asyncio.run(forwards.add(text))


def test_a_file_that_is_gone_keeps_the_rules(
    forwards: RunningForwards, forwarder: Forwarder, rules: Path
) -> None:
    rules.unlink()
    with pytest.raises(ConfigError, match=r"forward\.rules: cannot be read"):
        asyncio.run(forwards.reload(reset_affected=False))
    assert in_force(forwarder) == ["tcp 25 -> 192.168.1.10"]
