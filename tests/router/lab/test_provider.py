"""What there is to know of the provider, in its file."""

import stat
from dataclasses import replace
from pathlib import Path

import pytest

from router.lab import topology
from router.lab.provider import Provider
from router.ppp.types import BY_STRENGTH, Method

PROVIDER = Provider(
    "somewhere",
    2.5,
    rate=9600,
    latency_s=0.3,
    bit_error_rate=1e-6,
    sticky=True,
    busy=True,
    answers=False,
    dialtone=False,
    numbers=("5551234",),
    users={"ann": "secret"},
    methods=("pap",),
    pool=("192.0.2.1", "192.0.2.2"),
    rises=7,
)


def test_a_provider_is_as_it_was_saved(tmp_path: Path) -> None:
    for provider in (PROVIDER, Provider("elsewhere", 0.0)):
        provider.save(tmp_path / "provider.json")
        assert Provider.load(tmp_path / "provider.json") == provider
    assert [entry.name for entry in tmp_path.iterdir()] == ["provider.json"]


def test_what_a_person_leaves_out_is_as_usual(tmp_path: Path) -> None:
    (tmp_path / "provider.json").write_text('{"netns": "isp", "dial_s": 1, "numbers": ["1", "2"]}')
    provider = Provider.load(tmp_path / "provider.json")
    assert provider == Provider("isp", 1, numbers=("1", "2"))
    assert provider.allowed_methods == BY_STRENGTH


def test_passwords_are_for_the_owner_and_for_no_log(tmp_path: Path) -> None:
    PROVIDER.save(tmp_path / "provider.json")
    assert stat.S_IMODE((tmp_path / "provider.json").stat().st_mode) == 0o600
    assert "secret" not in repr(PROVIDER)


@pytest.mark.parametrize(
    ("sticky", "addresses"),
    [
        (False, [*topology.POOL, topology.POOL[0]]),
        (True, [topology.POOL[0]] * (len(topology.POOL) + 1)),
    ],
    ids=["the next one of the pool", "always the same"],
)
def test_each_rise_gets_an_address(sticky: bool, addresses: list[str]) -> None:
    provider = Provider("", 0, sticky=sticky)
    rises = [replace(provider, rises=number) for number in range(len(addresses))]
    assert [rise.next_address for rise in rises] == addresses


@pytest.mark.parametrize(
    ("answers", "numbers", "called"),
    [
        (True, (), {"": True, "1": True}),
        (True, ("1", "2"), {"": False, "1": True, "2": True, "12": False}),
        (False, (), {"": False, "1": False}),
        (False, ("1",), {"1": False}),
    ],
)
def test_who_is_answered(answers: bool, numbers: tuple[str, ...], called: dict[str, bool]) -> None:
    provider = Provider("", 0, answers=answers, numbers=numbers)
    assert {number: provider.answers_to(number) for number in called} == called


def test_methods_are_in_order() -> None:
    provider = Provider("", 0, methods=("pap", "chap"))
    assert provider.allowed_methods == (Method.PAP, Method.CHAP)
