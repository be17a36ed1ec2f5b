"""The files a lab's processes are configured by, made from the topology."""

import secrets
from dataclasses import dataclass
from pathlib import Path

from router.host.ppp.tty import SPEEDS
from router.lab import topology
from router.lab.provider import DEFAULT_RATE, MODEM, Provider
from router.lab.registry import Lab
from router.lab.servers import HTTP_PORT, NNTP_PORT, SMTP_PORT
from router.units import format_duration

__all__ = ["CHAT", "NUMBER", "Line", "modem", "password_file", "provider_file", "write"]

NUMBER = "5550123"  # the provider's; numbers that begin like this are kept for fiction
_USER = "postroad"
_PASSWORD_BYTES = 9
_PRIVATE = 0o600

CHAT = """\
# How the lab's router talks to its modem.
ABORT    BUSY
ABORT    ERROR
ABORT    'NO ANSWER'
ABORT    'NO CARRIER'
ABORT    'NO DIALTONE'
REPORT   CONNECT
TIMEOUT  5
''       ATZ
OK       ATX4S7=255
OK       ATDT\\T
TIMEOUT  300
CONNECT  \\c
"""

_PORT_BITS, _LINE_BITS = 10, 8  # of an octet: with start and stop bit, and without (V.42)
_LEAST_SPEED = 115200  # bit/s: what modems are usually spoken to with
_SLACK_S = 60  # for more than the time to dial: a slow machine is no reason to give up


@dataclass(frozen=True, slots=True)
class Line:
    """A line that is dialled: the seconds that takes, those after which it falls unused, bit/s."""

    dial_s: float = 5.0
    idle_s: int = 180
    rate: int = DEFAULT_RATE


def write(lab: Lab, line: Line | None) -> None:
    """Write all files into the lab's folder; without a line to dial the router's is static."""
    if line is not None:
        _write_provider(lab, line)
        (lab.directory / "isp.chat").write_text(CHAT)
    lab.config.write_text(_router_toml(lab, line))
    (lab.directory / "forward.rules").write_text(_forward_rules())
    (lab.directory / "dnsmasq.conf").write_text(_dnsmasq_conf())


def provider_file(lab: Lab) -> Path:
    """Return the file that tells of the provider of a lab whose line is dialled."""
    return lab.directory / "provider.json"


def modem(lab: Lab) -> Path:
    """Return the serial port of a lab whose line is dialled."""
    return lab.directory / MODEM


def password_file(lab: Lab) -> Path:
    """Return the file with what the router logs in with."""
    return lab.directory / "isp.password"


def _write_provider(lab: Lab, line: Line) -> None:
    password = secrets.token_urlsafe(_PASSWORD_BYTES)
    password_file(lab).touch(_PRIVATE)
    password_file(lab).write_text(f"{password}\n")
    Provider(
        lab.namespace("internet"),
        line.dial_s,
        rate=line.rate,
        numbers=(NUMBER,),
        users={_USER: password},
    ).save(provider_file(lab))


def _router_toml(lab: Lab, line: Line | None) -> str:
    hosts = "".join(
        f'\n[[host]]\naddress = "{host.address}"\nname = "{host.name}"\ndial = "{host.dial}"\n'
        for host in topology.LAN_HOSTS
    )
    return f"""\
# The router of the lab {lab.name}, written by `postroad lab up`.
[router]
state_dir     = "{lab.directory}/router"
control       = "{lab.control}"
forward_rules = "forward.rules"

[lan]
address = "{topology.ROUTER}/{topology.LAN_PREFIX}"
device  = "{topology.LAN_DEVICE}"
dns     = true

[wan]
netns = "{lab.namespace("wan")}"

{_static() if line is None else _dialled(line)}
{hosts}"""


def _static() -> str:
    return f"""\
[[link]]
name    = "isp"
backend = "static"
device  = "{topology.WAN_DEVICE}"
address = "{topology.EXTERNAL}/{topology.WAN_PREFIX}"
gateway = "{topology.GATEWAY}"
dns     = ["{topology.CLIENT}"]\
"""


def _dialled(line: Line) -> str:
    return f"""\
[[link]]
name          = "isp"
backend       = "ppp"
line          = "./{MODEM}"
speed         = {_port_speed(line.rate)}
chat          = "isp.chat"
number        = "{NUMBER}"
user          = "{_USER}"
password_file = "isp.password"
idle_timeout  = "{format_duration(line.idle_s)}"
dial_timeout  = "{format_duration(round(line.dial_s) + _SLACK_S)}"\
"""


def _port_speed(rate: float) -> int:
    """Return the speed of a serial port that keeps the line busy, or the highest there is."""
    needed = max(rate * _PORT_BITS / _LINE_BITS, _LEAST_SPEED)
    return next((speed for speed in SPEEDS if speed >= needed), max(SPEEDS))


def _forward_rules() -> str:
    return "".join(
        f"tcp {port:<4} -> {topology.MAIL}    # {what}\n"
        for port, what in ((SMTP_PORT, "mail"), (HTTP_PORT, "web"), (NNTP_PORT, "news"))
    )


def _dnsmasq_conf() -> str:
    records = "".join(
        f"host-record={name},{address}\n" for name, address in topology.DNS_NAMES.items()
    )
    return f"""\
listen-address={topology.CLIENT}
bind-interfaces
user=root
pid-file=
no-resolv
no-hosts
local=/test/
log-queries
log-facility=-
{records}"""
