"""Any text is rules that `render` writes back, or problems that each name a line of the file."""

from hypothesis import example, given
from hypothesis import strategies as st

from router.errors import ConfigError
from router.nat.types import DefaultHost, ForwardRule
from router.rules import parse_rules, render

_WORDS = [
    "tcp", "udp", "icmp", "default", "from", "->", "-", ",", ":", "#", "\n", "\t", "\r", "\x0b",
    "25", "0", "65535", "65536", "80-90", "90-80", "1-65535", "00025", "5" * 5000, "\u0664", "-1",
    "192.168.1.10", "192.168.1.10:8080", "192.168.1.10:80-90", "192.168.1.256", "1.2.3",
    "198.51.100.0/24", "198.51.100.1/24", "0.0.0.0/0", "10.0.0.0/33", "\u2028", "\u00e9", "\x00",
]  # fmt: skip
_LINES = [
    "tcp 25 -> 192.168.1.10 from 198.51.100.0/24,203.0.113.7\n",
    "udp 5000-5010 -> 192.168.1.20:6000-6010 # games\n",
    "default -> 192.168.1.30\n",
]
_pieces = st.lists(st.sampled_from([*_WORDS, *_LINES, " ", " ", " "]), max_size=30)
texts = _pieces.map("".join) | _pieces.map(" ".join) | st.text(max_size=60)


def judged(text: str) -> list[ForwardRule | DefaultHost] | ConfigError:
    try:
        return parse_rules(text, "forward.rules")
    except ConfigError as error:
        return error


@given(texts)
@example("".join(_LINES))
@example("".join(_LINES) * 2)
@example("tcp 1 -> " + "9" * 5000 + ".1.1.1")
@example("tcp 1 -> 192.168.1.1 from 10.0.0.0/" + "9" * 5000)
def test_any_text(text: str) -> None:
    rules = judged(text)
    if isinstance(rules, ConfigError):
        assert rules.problems
        for problem in rules.problems:
            check_problem(problem, lines=text.count("\n") + 1)
    else:
        written = list(map(render, rules))
        assert list(map(render, parse_rules("\n".join(written), "again"))) == written


def check_problem(problem: str, lines: int) -> None:
    name, line, sentence = problem.split(":", 2)
    assert name == "forward.rules"
    assert 1 <= int(line) <= lines
    assert sentence.strip()
    assert "Exceeds the limit" not in sentence  # Python's own words for thousands of digits
