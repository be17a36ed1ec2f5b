"""The sample files say what the code does: every key, and every default."""

import re
import shutil
import tomllib
from dataclasses import fields
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from router.config import (
    CommandLink,
    DhcpSection,
    HostSection,
    LanSection,
    PppLink,
    RouterSection,
    StaticLink,
    WanSection,
    load,
    parse,
)
from router.config.config import Config
from router.config.demand import (
    AllowanceSection,
    BreakerSection,
    BudgetSection,
    HostHours,
    PolicySection,
    ScheduleSection,
)
from router.config.links import HoldSection, RedialSection
from router.config.schema import LimitsSection, NatSection, RouterFile, TimeoutsSection
from router.config.section import Section
from router.errors import ConfigError
from router.link.types import (
    Allowance,
    BreakerConfig,
    BudgetConfig,
    HoldLimits,
    LinkConfig,
    RedialConfig,
)
from router.nat.types import Limits, NatConfig, Timeouts
from router.rules import parse_rules

ETC = Path(__file__).parents[3] / "etc"
OPTION = re.compile(r"^#(?=[a-z_]+ = |\[)", re.MULTILINE)
HEADER = re.compile(r"^#?\[+([a-z_.]+)\]+$", re.MULTILINE)
RULE = re.compile(r"^#(?=[a-z]+ )", re.MULTILINE)


class Sample(NamedTuple):
    """A section of the sample: its header, the how manieth of these it is, and its schema."""

    header: str
    number: int
    section: type[Section]

    def __str__(self) -> str:
        return f"{self.header}-{self.number}"


SECTIONS = [
    Sample("router", 0, RouterSection),
    Sample("lan", 0, LanSection),
    Sample("lan.dhcp", 0, DhcpSection),
    Sample("wan", 0, WanSection),
    Sample("link", 0, StaticLink),
    Sample("link", 1, CommandLink),
    Sample("link", 2, PppLink),
    Sample("link.redial", 0, RedialSection),
    Sample("link.hold", 0, HoldSection),
    Sample("host", 0, HostSection),
    Sample("policy", 0, PolicySection),
    Sample("budget", 0, BudgetSection),
    Sample("breaker", 0, BreakerSection),
    Sample("schedule", 0, ScheduleSection),
    Sample("nat", 0, NatSection),
    Sample("nat.timeouts", 0, TimeoutsSection),
    Sample("nat.limits", 0, LimitsSection),
]
EXAMPLES = {"link.number"}  # lists that are empty until they are set, and have an example there
HEADERS = {one.header for one in SECTIONS}


@pytest.fixture(scope="module")
def sample() -> str:
    return (ETC / "router.toml").read_text()


@pytest.fixture(scope="module")
def all_options(sample: str) -> str:
    """The sample with every option and section that is commented out put into effect."""
    return OPTION.sub("", sample)


def blocks(text: str) -> dict[tuple[str, int], str]:
    """Return the text of each section, by its header and the how manieth of these it is."""
    _, *pieces = HEADER.split(text)
    found: dict[tuple[str, int], str] = {}
    for header, block in zip(pieces[::2], pieces[1::2], strict=True):
        number = sum(known == header for known, _ in found)
        found[header, number] = block
    return found


def own_options(text: str, sample: Sample) -> dict[str, Any]:
    return tomllib.loads(blocks(text)[sample.header, sample.number])


def paragraph(text: str, sample: Sample, key: str) -> str:
    """The comment above an option."""
    block = blocks(text)[sample.header, sample.number]
    match = re.search(rf"((?:^#.*\n)+)(?:^[a-z_]+ = .*\n)*#?{key} = ", block, re.MULTILINE)
    assert match, f"{sample}: {key} has no comment"
    return match[1].replace("\n# ", " ")


def test_the_samples_load() -> None:
    config = load(ETC / "router.toml")
    assert isinstance(config, Config)
    assert config.warnings == ()
    assert config.load_forwards() == ()


def test_everything_in_the_sample_goes_together(all_options: str) -> None:
    served = all_options.replace("\ndns = false", "\ndns = true")
    served = served.replace("\ndns = []", '\ndns = ["9.9.9.9"]')
    with pytest.raises(ConfigError) as caught:
        parse(served, ETC / "router.toml")
    (problem,) = caught.value.problems
    assert "host[1].external: needs one-to-one addresses" in problem
    nat = 'address = ["198.51.100.8/29"]'
    config = parse(served.replace('address = "masquerade"', nat), ETC / "router.toml")
    assert config.warnings == ()
    assert [link.name for link in config.links] == ["isp", "lte", "dsl"]


def test_the_ppp_line_of_the_sample_goes_as_it_is(all_options: str, tmp_path: Path) -> None:
    """Without the `#` before its lines, beside the sample chats and a password."""
    for name in ("isp.chat", "isp-down.chat"):
        shutil.copy(ETC / name, tmp_path)
    password = tmp_path / "isp.password"
    password.touch(mode=0o600)
    password.write_text("secret\n")
    block = blocks(all_options)["link", 2]
    file = tmp_path / "router.toml"
    file.write_text(f'[lan]\naddress = "192.168.1.1/24"\n[[link]]\n{block}')
    (link,) = load(file).links
    assert isinstance(link, PppLink)
    assert link.number == ("0192 837465", "0192 837466")
    assert (link.chat, link.hang_up_chat) == (tmp_path / "isp.chat", tmp_path / "isp-down.chat")


@pytest.mark.parametrize("one", SECTIONS, ids=str)
def test_every_key_is_in_the_sample(all_options: str, one: Sample) -> None:
    keys = {key for key in one.section.options() if f"{one.header}.{key}" not in HEADERS}
    assert set(own_options(all_options, one)) == keys


def test_every_section_is_in_the_sample(all_options: str) -> None:
    assert set(tomllib.loads(all_options)) == set(RouterFile.model_fields)
    assert set(blocks(all_options)) == {(one.header, one.number) for one in SECTIONS}


@pytest.mark.parametrize("one", SECTIONS, ids=str)
def test_documented_defaults_are_the_ones_in_force(
    sample: str, all_options: str, one: Sample
) -> None:
    documented = one.section.model_validate(own_options(all_options, one))
    for name, field in one.section.model_fields.items():
        key = field.alias or name
        if f"{one.header}.{key}" in HEADERS:
            continue
        if field.is_required():
            assert "Required." in paragraph(sample, one, key)
        elif (
            field.default is None
            or field.annotation is AllowanceSection
            or f"{one.header}.{key}" in EXAMPLES
        ):
            assert "No default." in paragraph(sample, one, key)
        elif not isinstance(field.default, Section):
            assert getattr(documented, name) == field.default, key


def test_only_what_has_no_default_is_set_in_the_sample(sample: str) -> None:
    for one in SECTIONS:
        for key in own_options(sample, one):
            field = one.section.options()[key]
            assert field.is_required() or field.default is None, f"{one}: {key}"


@pytest.mark.parametrize("section", [HostHours, AllowanceSection])
def test_keys_of_tables_in_one_line_are_in_the_sample(sample: str, section: type[Section]) -> None:
    inline = (tomllib.loads(f"table = {text}") for text in re.findall(r"\{ .* \}", sample))
    assert any(set(each["table"]) == set(section.options()) for each in inline)


@pytest.mark.parametrize(
    ("section", "settings"),
    [
        (TimeoutsSection, Timeouts),
        (LimitsSection, Limits),
        (RedialSection, RedialConfig),
        (HoldSection, HoldLimits),
        (AllowanceSection, Allowance),
        (BudgetSection, BudgetConfig),
        (BreakerSection, BreakerConfig),
    ],
)
def test_sections_have_the_keys_of_what_they_set(section: type[Section], settings: type) -> None:
    names = {field.name.removesuffix("_s") for field in fields(settings)}
    assert set(section.model_fields) == names


def test_a_link_sets_all_of_its_core() -> None:
    names = {field.name.removesuffix("_s") for field in fields(LinkConfig)}
    assert names <= set(CommandLink.model_fields)
    assert names <= set(PppLink.model_fields)


def test_the_nat_section_sets_all_of_the_nat() -> None:
    names = {field.name for field in fields(NatConfig)}
    assert set(NatSection.model_fields) == names | {"answer_ping"}


def test_the_rules_in_the_sample_are_rules() -> None:
    text = RULE.sub("", (ETC / "forward.rules").read_text())
    assert len(parse_rules(text, "f")) == 6
