"""Any text is a configuration or a `ConfigError` each of whose problems begins with the file."""

from pathlib import Path

from hypothesis import example, given
from hypothesis import strategies as st

from router.config import Config, parse
from router.errors import ConfigError

PATH = Path("router.toml")
_LINES = [
    "[router]", "[lan]", "[wan]", "[nat]", "[nat.timeouts]", "[nat.limits]", "[[link]]", "[[host]]",
    "[link]", "[nat", 'address = "192.168.1.1/24"', 'address = "203.0.113.2/24"',
    'address = "masquerade"', 'address = ["198.51.100.8/29"]', 'device = "eth1"', 'tun = "lan0"',
    'name = "isp"', 'backend = "static"', 'backend = "ppp"', 'gateway = "203.0.113.1"',
    'routes = ["192.168.7.0/24 via 192.168.1.254"]', 'mapping = "endpoint-independent"',
    'filtering = "address-dependent"', 'udp = "5m"', 'icmp = "60s"', 'forward_rules = "rules"',
    "mtu = 1500", "sessions = 1000", "answer_ping = false", 'control = "c"', "# a comment", "",
    "[[policy]]", "[budget]", "[breaker]", "[[schedule]]", "[link.redial]", "[link.hold]",
    'backend = "command"', 'up = "./up"', 'down = "down now"', 'match = "udp port 53"',
    'hold = "5s"', 'action = "accept"', 'mac = "52:54:00:12:34:56"', 'dial = "may-use"',
    'days = "mon-fri"', 'from = "08:00"', 'to = "24:00"', 'link = "manual"', "warn = 0.5",
    "per_day = { dials = 1 }",
    'control_tcp = "192.168.1.1:4190"', 'token_file = "t"', 'timezone = "Europe/Berlin"',
    "factor = 2", "failures = 0", 'mode = "on-demand"',
]  # fmt: skip
_VALUES = [
    "0", "-1", "1500", "65536", "1e400", "nan", '""', '"\\u0000"', '"0s"', '"5m"', '"9h9m9s"',
    '"192.168.1.1/24"', '"192.168.1.0/24"', '"192.168.1.1/33"', '"255.255.255.255/0"', "[]", "[[]]",
    "true", "{}", '["10.0.0.0/8"]', "1979-05-27", "9" * 5000, "[" * 500,
    '"' + "9" * 5000 + '.1.1.1/24"', "\"it's\"", '"8:00"', '"fri-mon"', '"port ("', '"../x"',
]  # fmt: skip
_KEYS = sorted({line.split(" ")[0] for line in _LINES if " = " in line} | {"nonsense", "a.b", '""'})

_assignments = st.builds("{} = {}".format, st.sampled_from(_KEYS), st.sampled_from(_VALUES))
_jumbled = st.lists(st.sampled_from(_LINES) | _assignments, max_size=20).map("\n".join)
_GOOD = """[lan]
address = "192.168.1.1/24"
[[link]]
name = "isp"
backend = "static"
address = "203.0.113.2/24"
[[link]]
name = "lte"
backend = "command"
up = "./up"
down = "./down"
"""


@st.composite
def _nearly_good(draw: st.DrawFn) -> str:
    lines = _GOOD.splitlines()
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(lines)))
        lines[at : at + draw(st.integers(0, 1))] = [draw(st.sampled_from(_LINES) | _assignments)]
    return "\n".join(lines)


def judged(text: str) -> Config | ConfigError:
    try:
        return parse(text, PATH)
    except ConfigError as error:
        return error


@given(_nearly_good() | _jumbled | st.text(max_size=60))
@example(_GOOD)
def test_any_text(text: str) -> None:
    config = judged(text)
    if isinstance(config, ConfigError):
        assert config.problems
        assert all(problem.startswith("router.toml:") for problem in config.problems)
    else:
        assert config.forwarder_config()
