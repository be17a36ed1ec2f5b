"""What is said of ports, cards and programs that are not there, or are something else."""

from pathlib import Path

import pytest

from router.config import Config, load, parse
from router.config.places import place_warnings
from router.errors import ConfigError

LAN = '[lan]\naddress = "192.168.1.1/24"\n'
PPP = '[[link]]\nname = "isp"\nbackend = "ppp"\nline = "{}"\n'


def config(line: str, folder: Path = Path("/etc/postroad")) -> Config:
    return parse(LAN + PPP.format(line), folder / "router.toml")


MISSING = [
    ("/dev/null", ""),
    ("/dev/ttyS99", "there is no /dev/ttyS99 now"),
    ("/dev/null/ttyS1", "there is no /dev/null/ttyS1 now"),
    ("pty:sh -c pppd", ""),
    ("pty:/bin/sh", ""),
    ("pty:no-such-tunnel 4711", "there is no program no-such-tunnel now"),
    ("pty:./tunnel 4711", "there is no program /etc/postroad/tunnel now"),
    ("pppoe:eth3", ""),
    ("pppoe:eth4", "there is no card eth4 now"),
    ("tcp:console.lan:7001", ""),
]


@pytest.mark.parametrize(("line", "said"), MISSING)
def test_what_is_missing_now(tmp_path: Path, line: str, said: str) -> None:
    (tmp_path / "eth3").mkdir()
    told = place_warnings(config(line).links, "wan", cards=tmp_path, namespaces=tmp_path)
    assert list(told) == ([f"link[1].line: {said}"] if said else [])


@pytest.mark.parametrize(
    ("netns", "said"), [("postroad-wan", []), ("", ["link[1].line: there is no card eth4 now"])]
)
def test_a_card_may_be_in_the_namespace_of_the_line(
    tmp_path: Path, netns: str, said: list[str]
) -> None:
    (tmp_path / "postroad-wan").touch()
    links = config("pppoe:eth4").links
    assert list(place_warnings(links, netns, cards=tmp_path, namespaces=tmp_path)) == said


def test_what_is_there_and_no_serial_port_is_a_problem(tmp_path: Path) -> None:
    file = tmp_path / "router.toml"
    for line in ("/etc/passwd", "/etc"):
        file.write_text(LAN + PPP.format(line))
        with pytest.raises(ConfigError) as caught:
            load(file)
        assert list(caught.value.problems) == [
            f"{file}: link[1].line: {line} is there, and is no serial port"
        ]


@pytest.mark.parametrize("line", ["/dev/null", "/dev/ttyS99"])
def test_what_is_or_may_become_one_is_none(tmp_path: Path, line: str) -> None:
    file = tmp_path / "router.toml"
    file.write_text(LAN + PPP.format(line))
    assert load(file).warnings == ()
