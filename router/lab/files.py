"""The files a lab's processes are configured by, made from the topology."""

import json
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path

from router.lab import topology
from router.lab.dial import Provider
from router.lab.registry import Lab
from router.lab.servers import HTTP_PORT, NNTP_PORT, SMTP_PORT
from router.units import format_duration

__all__ = ["Line", "provider_file", "write"]

_SLACK_S = 60  # for more than the time to dial: a slow machine is no reason to give up


@dataclass(frozen=True, slots=True)
class Line:
    """A line that is dialled: the seconds that takes, and those after which it falls unused."""

    dial_s: float = 5.0
    idle_s: int = 180


def write(lab: Lab, line: Line | None) -> None:
    """Write all files into the lab's folder; without a line to dial the router's is static."""
    if line is not None:
        Provider(lab.namespace("internet"), line.dial_s).save(provider_file(lab))
    lab.config.write_text(_router_toml(lab, line))
    (lab.directory / "forward.rules").write_text(_forward_rules())
    (lab.directory / "dnsmasq.conf").write_text(_dnsmasq_conf())


def provider_file(lab: Lab) -> Path:
    """Return the file that tells of the provider of a lab whose line is dialled."""
    return lab.directory / "provider.json"


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

[wan]
netns = "{lab.namespace("wan")}"

{_static() if line is None else _dialled(lab, line)}
{hosts}"""


def _static() -> str:
    return f"""\
[[link]]
name    = "isp"
backend = "static"
device  = "{topology.WAN_DEVICE}"
address = "{topology.EXTERNAL}/{topology.WAN_PREFIX}"
gateway = "{topology.GATEWAY}"\
"""


def _dialled(lab: Lab, line: Line) -> str:
    commands = "".join(
        f"{what:<12} = {_quoted(sys.executable, '-P', '-m', 'router.lab.dial', what, file)}\n"
        for file in [str(provider_file(lab))]
        for what in ("up", "down", "status")
    )
    return f"""\
[[link]]
name         = "isp"
backend      = "command"
device       = "{topology.WAN_DEVICE}"
{commands}\
idle_timeout = "{format_duration(line.idle_s)}"
dial_timeout = "{format_duration(round(line.dial_s) + _SLACK_S)}"\
"""


def _quoted(*words: str) -> str:
    """Return a command as a string of TOML, whose escapes are those of JSON."""
    return json.dumps(shlex.join(words))


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
