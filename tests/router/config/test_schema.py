"""The sample files say what the code does: every key, and every default."""

import re
import tomllib
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from router.config import load
from router.config.config import Config
from router.config.schema import (
    HostSection,
    LanSection,
    LimitsSection,
    NatSection,
    RouterFile,
    RouterSection,
    Section,
    StaticLink,
    TimeoutsSection,
    WanSection,
)
from router.nat.types import Limits, NatConfig, Timeouts
from router.rules import parse_rules

ETC = Path(__file__).parents[3] / "etc"
OPTION = re.compile(r"^#(?=[a-z_]+ = )", re.MULTILINE)
RULE = re.compile(r"^#(?=[a-z]+ )", re.MULTILINE)

SECTIONS: list[tuple[str, type[Section]]] = [
    ("router", RouterSection),
    ("lan", LanSection),
    ("wan", WanSection),
    ("link", StaticLink),
    ("host", HostSection),
    ("nat", NatSection),
    ("nat.timeouts", TimeoutsSection),
    ("nat.limits", LimitsSection),
]


@pytest.fixture(scope="module")
def sample() -> str:
    return (ETC / "router.toml").read_text()


@pytest.fixture(scope="module")
def all_options(sample: str) -> dict[str, Any]:
    """The sample with every option that is commented out put into effect."""
    return tomllib.loads(OPTION.sub("", sample))


def table(tables: dict[str, Any], path: str) -> dict[str, Any]:
    for key in path.split("."):
        tables = tables[key][0] if isinstance(tables[key], list) else tables[key]
    return tables


def paragraph(sample: str, path: str, key: str) -> str:
    """The comment above an option."""
    header = f"[[{path}]]" if path in {"link", "host"} else f"[{path}]"
    section = sample.split(f"\n{header}\n")[1].split("\n[")[0]
    match = re.search(rf"((?:^#.*\n)+)#?{key} = ", section, re.MULTILINE)
    assert match, f"{path}.{key} has no comment"
    return match[1]


def test_the_samples_load() -> None:
    config = load(ETC / "router.toml")
    assert isinstance(config, Config)
    assert config.warnings == ()
    assert config.load_forwards() == ()


@pytest.mark.parametrize(("path", "section"), SECTIONS)
def test_every_key_is_in_the_sample(
    all_options: dict[str, Any], path: str, section: type[Section]
) -> None:
    assert set(table(all_options, path)) == set(section.model_fields)


def test_every_section_is_in_the_sample(all_options: dict[str, Any]) -> None:
    assert set(all_options) == set(RouterFile.model_fields)


@pytest.mark.parametrize(("path", "section"), SECTIONS)
def test_documented_defaults_are_the_ones_in_force(
    sample: str, all_options: dict[str, Any], path: str, section: type[Section]
) -> None:
    documented = section.model_validate(table(all_options, path))
    for key, field in section.model_fields.items():
        if field.is_required():
            assert "Required." in paragraph(sample, path, key)
        elif field.default is None:
            assert "No default." in paragraph(sample, path, key)
        elif not isinstance(field.default, Section):
            assert getattr(documented, key) == field.default, key


def test_only_what_has_no_default_is_set_in_the_sample(sample: str) -> None:
    tables = tomllib.loads(sample)
    for path, section in SECTIONS:
        for key in table(tables, path):
            default = section.model_fields[key].get_default()
            assert (
                isinstance(default, Section)
                or section.model_fields[key].is_required()
                or (default is None)
            ), f"{path}.{key}"


@pytest.mark.parametrize(
    ("section", "settings"), [(TimeoutsSection, Timeouts), (LimitsSection, Limits)]
)
def test_sections_have_the_keys_of_what_they_set(section: type[Section], settings: type) -> None:
    assert set(section.model_fields) == {field.name for field in fields(settings)}


def test_the_nat_section_sets_all_of_the_nat() -> None:
    names = {field.name for field in fields(NatConfig)}
    assert set(NatSection.model_fields) == names | {"answer_ping"}


def test_the_rules_in_the_sample_are_rules() -> None:
    text = RULE.sub("", (ETC / "forward.rules").read_text())
    assert len(parse_rules(text, "f")) == 6
