"""The ways from a client's namespace to a server's: the router, its limit and its peers."""

import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from .loads import SERVER_ADDRESS, Ends
from .network import NETNS_DIRECTORY, Testbed

__all__ = ["BASELINE", "ROUTER", "VARIANTS", "Variant"]

ROUTER = "postroad"
BASELINE = "copier"  # every ratio is to this variant's median of the same run
CLIENT_ADDRESS = "192.168.1.11"
LAN_GATEWAY = "192.168.1.1"
WAN_ADDRESS = "203.0.113.2"
SLIRP_MTU = "65520"  # bytes; slirp4netns is slow with less, this is its best

ROUTER_TOML = """\
[router]
state_dir = "{directory}/state"
control = "{directory}/control.sock"
[lan]
address = "{gateway}/24"
netns = "{client}"
tun = "lan0"
[wan]
netns = "{server}"
tun = "wan0"
[[link]]
name = "bench"
backend = "static"
address = "{wan_address}/24"
"""

MASQUERADE_NFT = """\
table ip nat {
    chain postrouting {
        type nat hook postrouting priority srcnat
        oifname "wan0" masquerade
    }
}
"""


@dataclass(frozen=True, slots=True)
class Variant:
    """One way across. `needs` are the programs it is made of; `build` sets it up and running."""

    name: str
    title: str
    needs: tuple[str, ...]
    build: Callable[[Testbed], Ends]

    def missing(self) -> tuple[str, ...]:
        """Return the programs that are not installed."""
        return tuple(program for program in self.needs if shutil.which(program) is None)


def _build_copier(testbed: Testbed) -> Ends:
    ends = _tun_ends(testbed, "copier")
    testbed.ip(ends.server, "route add default dev wan0")
    lan, wan = (str(NETNS_DIRECTORY / name) for name in (ends.client, ends.server))
    testbed.start(None, testbed.build("copier"), lan, "lan0", wan, "wan0", until="ready")
    return ends


def _build_router(testbed: Testbed) -> Ends:
    ends = _tun_ends(testbed, "postroad")
    config = testbed.directory / "router.toml"
    config.write_text(
        ROUTER_TOML.format(
            directory=testbed.directory,
            gateway=LAN_GATEWAY,
            client=ends.client,
            server=ends.server,
            wan_address=WAN_ADDRESS,
        )
    )
    postroad = str(Path(sys.executable).with_name("postroad"))
    command = (postroad, "run", "-c", str(config))
    testbed.start(None, *command, until="control API on", POSTROAD_FASTPATH="pure")
    return ends


def _build_masquerade(testbed: Testbed) -> Ends:
    client, middle, server = _veth_server(testbed, "nft")
    testbed.ip(middle, f"link add lan0 type veth peer name eth0 netns {client}")
    testbed.ip(middle, f"addr add {LAN_GATEWAY}/24 dev lan0", "link set lan0 up")
    testbed.ip(client, f"addr add {CLIENT_ADDRESS}/24 dev eth0", "link set eth0 up")
    testbed.ip(client, f"route add default via {LAN_GATEWAY}")
    testbed.run(middle, "nft", "-f", "-", stdin=MASQUERADE_NFT)
    return Ends(client, server)


def _build_slirp(testbed: Testbed) -> Ends:
    client, middle, server = _veth_server(testbed, "slirp")
    slirp = ("slirp4netns", "--configure", f"--mtu={SLIRP_MTU}", "--netns-type=path")
    testbed.start(middle, *slirp, str(NETNS_DIRECTORY / client), "tap0", until="received tapfd")
    return Ends(client, server)


def _tun_ends(testbed: Testbed, name: str) -> Ends:
    client, server = testbed.namespace(f"{name}-client"), testbed.namespace(f"{name}-server")
    _add_tun(testbed, client, "lan0", CLIENT_ADDRESS)
    _add_tun(testbed, server, "wan0", SERVER_ADDRESS)
    testbed.ip(client, "route add default dev lan0")
    return Ends(client, server)


def _add_tun(testbed: Testbed, namespace: str, name: str, address: str) -> None:
    testbed.ip(
        namespace,
        f"tuntap add dev {name} mode tun vnet_hdr",
        f"addr add {address}/24 dev {name}",
        f"link set {name} up",
    )


def _veth_server(testbed: Testbed, name: str) -> tuple[str, str, str]:
    roles = ("client", "middle", "server")
    client, middle, server = (testbed.namespace(f"{name}-{role}") for role in roles)
    testbed.ip(middle, f"link add wan0 type veth peer name eth0 netns {server}")
    testbed.ip(middle, f"addr add {WAN_ADDRESS}/24 dev wan0", "link set wan0 up")
    testbed.ip(server, f"addr add {SERVER_ADDRESS}/24 dev eth0", "link set eth0 up")
    return client, middle, server


VARIANTS = (
    Variant(BASELINE, "C, moves frames between two TUNs, no NAT", (), _build_copier),
    Variant(ROUTER, "pure Python between the same two TUNs", (), _build_router),
    Variant("nftables", "kernel masquerade between veth pairs", ("nft",), _build_masquerade),
    Variant(
        "slirp4netns",
        "C, TAP to sockets, at its best with an MTU of 65520",
        ("slirp4netns",),
        _build_slirp,
    ),
)
