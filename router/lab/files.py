"""The files a lab's processes are configured by, made from the topology."""

from router.lab import topology
from router.lab.registry import Lab
from router.lab.servers import HTTP_PORT, NNTP_PORT, SMTP_PORT

__all__ = ["write"]


def write(lab: Lab) -> None:
    """Write router.toml, forward.rules and dnsmasq.conf into the lab's folder."""
    lab.config.write_text(_router_toml(lab))
    (lab.directory / "forward.rules").write_text(_forward_rules())
    (lab.directory / "dnsmasq.conf").write_text(_dnsmasq_conf())


def _router_toml(lab: Lab) -> str:
    hosts = "".join(
        f'\n[[host]]\naddress = "{host.address}"\nname = "{host.name}"\n'
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

[[link]]
name    = "isp"
backend = "static"
device  = "{topology.WAN_DEVICE}"
address = "{topology.EXTERNAL}/{topology.WAN_PREFIX}"
gateway = "{topology.GATEWAY}"
{hosts}"""


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
