"""The lab's network: namespaces joined by veth pairs.

```
 alice 192.168.1.11 --+
 bob   192.168.1.12 --+-- lan (bridge) -- eth1 192.168.1.1  router  203.0.113.2 eth2 --+
 mail  192.168.1.10 --+                                                                 |
                                     internet  203.0.113.1 eth0, 198.51.100.10, 198.51.100.20
```

The cable on the right is a static line's. One that is dialled has none: the router opens a modem,
and 203.0.113.1 is the provider's end of a PPP link (`isp`). Each rise gets another address of the
provider's pool there, 203.0.113.2 the first.

Each box is a namespace named `PREFIX-NODE`. Links are made inside the namespaces they join, so
nothing of a lab shows in the namespace it was started in, and two labs may use the same
addresses. `internet` has no route to the private network: a packet that leaves untranslated
gets no answer. The namespace `wan` belongs to the router, which makes it and moves `eth2` there.
Names are asked of the router, as on any such LAN.
Addresses are those set aside for documentation (RFC 5737) and private use (RFC 1918).
"""

from dataclasses import dataclass
from pathlib import Path

from pyroute2 import IPRoute

from router.host.machine import netns

__all__ = [
    "CLIENT",
    "DNS_NAMES",
    "EXTERNAL",
    "GATEWAY",
    "LAN_DEVICE",
    "LAN_HOSTS",
    "LAN_PREFIX",
    "MAIL",
    "NODES",
    "POOL",
    "ROUTER",
    "SERVER",
    "WAN_DEVICE",
    "WAN_PREFIX",
    "Host",
    "build",
    "namespace",
    "remove",
]


@dataclass(frozen=True, slots=True)
class Host:
    """A machine on the lab's LAN: its name, its address, and what it may do with the line."""

    name: str
    address: str
    dial: str = "may-dial"


ROUTER = "192.168.1.1"
LAN_PREFIX = 24
LAN_HOSTS = (
    Host("alice", "192.168.1.11"),
    Host("bob", "192.168.1.12", dial="may-use"),
    Host("mail", "192.168.1.10"),
)
MAIL = "192.168.1.10"

POOL = ("203.0.113.2", "203.0.113.3", "203.0.113.4", "203.0.113.5")  # the provider's, in turn
EXTERNAL = POOL[0]  # the one address the LAN shares, on a static line or after the first dial
GATEWAY = "203.0.113.1"
WAN_PREFIX = 24
SERVER = "198.51.100.10"  # serves pages
CLIENT = "198.51.100.20"  # serves names and pages, and is who calls the LAN from outside
DNS_NAMES = {"www.example.test": SERVER, "ns.example.test": CLIENT, "mail.example.test": EXTERNAL}

LAN_DEVICE = "eth1"
WAN_DEVICE = "eth2"

_MADE_HERE = (*(host.name for host in LAN_HOSTS), "lan", "router", "internet")
NODES = (*_MADE_HERE, "wan")  # every place a command can be run in

_ETC = Path("/etc/netns")  # files here stand in for those of /etc under `ip netns exec`
_ETC_IS_OURS = _ETC / ".postroad-lab"  # there while the folder was made by a lab
_IPV6_OFF = (
    Path("/proc/sys/net/ipv6/conf/all/disable_ipv6"),
    Path("/proc/sys/net/ipv6/conf/default/disable_ipv6"),
)


def namespace(prefix: str, node: str) -> str:
    """Return the name of the node's namespace, as `ip netns` knows it."""
    return f"{prefix}-{node}"


def build(prefix: str, *, cable: bool) -> None:
    """Make the namespaces and what joins them, with a cable from the router to the Internet or not.

    Raises DeviceError, OSError, NetlinkError.
    """
    for node in _MADE_HERE:
        netns.create(namespace(prefix, node))
        with netns.netlink(namespace(prefix, node)) as link:
            _silence_ipv6()
            _raise(link, "lo")
    _build_switch(prefix)
    for host in LAN_HOSTS:
        _build_host(prefix, host)
    with netns.netlink(namespace(prefix, "router")) as link:
        _give(link, LAN_DEVICE, ROUTER, LAN_PREFIX)
    with netns.netlink(namespace(prefix, "internet")) as link:
        for address in (SERVER, CLIENT):
            _give(link, "lo", address, 32)
    if cable:
        _lay_cable(prefix)


def remove(prefix: str) -> None:
    """Delete whatever of the lab's network exists; its processes must be gone before."""
    for node in NODES:
        name = namespace(prefix, node)
        netns.delete(name)
        for leftover in sorted(_ETC.glob(f"{name}/*")):
            leftover.unlink()
        if (_ETC / name).exists():
            (_ETC / name).rmdir()
    if list(_ETC.glob("*")) == [_ETC_IS_OURS]:
        _ETC_IS_OURS.unlink()
        _ETC.rmdir()


def _build_switch(prefix: str) -> None:
    ports = {host.name: "eth0" for host in LAN_HOSTS} | {"router": LAN_DEVICE}
    with netns.netlink(namespace(prefix, "lan")) as link:
        link.link("add", ifname="br0", kind="bridge")
        bridge = _raise(link, "br0")
        for node, device in ports.items():
            far_end = {"ifname": device, "net_ns_fd": namespace(prefix, node)}
            link.link("add", ifname=node, kind="veth", peer=far_end)
            link.link("set", index=_raise(link, node), master=bridge)


def _build_host(prefix: str, host: Host) -> None:
    with netns.netlink(namespace(prefix, host.name)) as link:
        _give(link, "eth0", host.address, LAN_PREFIX)
        link.route("add", dst="default", gateway=ROUTER)
    # Names are asked of the router, whatever resolver the machine itself uses.
    etc = _ETC / namespace(prefix, host.name)
    if not _ETC.exists():
        _ETC.mkdir()
        _ETC_IS_OURS.touch()
    etc.mkdir()
    (etc / "resolv.conf").write_text(f"nameserver {ROUTER}\n")
    (etc / "nsswitch.conf").write_text("hosts: files dns\n")


def _lay_cable(prefix: str) -> None:
    """Join the router to the Internet; its own end is the router's to configure."""
    with netns.netlink(namespace(prefix, "router")) as link:
        far_end = {"ifname": "eth0", "net_ns_fd": namespace(prefix, "internet")}
        link.link("add", ifname=WAN_DEVICE, kind="veth", peer=far_end)
    with netns.netlink(namespace(prefix, "internet")) as link:
        _give(link, "eth0", GATEWAY, WAN_PREFIX)


def _give(link: IPRoute, device: str, address: str, prefix_length: int) -> None:
    index = _raise(link, device)
    link.addr("add", index=index, address=address, prefixlen=prefix_length)


def _raise(link: IPRoute, device: str) -> int:
    index: int = link.link_lookup(ifname=device)[0]
    link.link("set", index=index, state="up")
    return index


def _silence_ipv6() -> None:
    """Keep router solicitations and the like out of captures; the calling thread's namespace."""
    for switch in _IPV6_OFF:
        if switch.exists():
            switch.write_text("1")
