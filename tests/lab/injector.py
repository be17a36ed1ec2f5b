"""Packets put on a link as they are, past the checks of the kernel that sends them.

With `offloads` each packet is preceded by a virtio-net header, as from a virtual machine.
"""

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager

from pyroute2 import netns

from tests.lab.site import EXTERNAL, ROUTER, Site

PACKET_VNET_HDR = 15  # linux/if_packet.h
SOL_PACKET = 263
ETH_P_IP = 0x0800  # linux/if_ether.h


class Injector:
    """A packet socket on a device of a site; `send` takes IPv4 packets."""

    def __init__(self, site: Site, end: tuple[str, str], *, offloads: bool = False) -> None:
        node, device = end
        self._ethernet = _ethernet_header(site, node, device)
        self._vnet_bytes = 10 if offloads else 0
        netns.pushns(site.namespace(node))
        try:
            self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
        finally:
            netns.popns()
        if offloads:
            self._socket.setsockopt(SOL_PACKET, PACKET_VNET_HDR, 1)
        self._to = (device, ETH_P_IP)

    def send(self, packet: bytes) -> bool:
        """Put a packet on the link; return whether the sending kernel let it pass."""
        at = self._vnet_bytes
        whole = packet[:at] + self._ethernet + packet[at:]
        try:
            return self._socket.sendto(whole, self._to) == len(whole)
        except OSError:  # longer than the link, or a virtio-net header that is impossible
            return False

    def close(self) -> None:
        self._socket.close()


@contextmanager
def injecting(site: Site, end: tuple[str, str], *, offloads: bool = False) -> Iterator[Injector]:
    injector = Injector(site, end, offloads=offloads)
    try:
        yield injector
    finally:
        injector.close()


def _ethernet_header(site: Site, node: str, device: str) -> bytes:
    """To the box, which the site's first ping has made known; nothing on a TUN."""
    (link,) = json.loads(site.ip(node, "-j", "link", "show", "dev", device))
    if link["link_type"] != "ether":
        return b""
    box = EXTERNAL if node == "internet" else ROUTER
    neighbours = json.loads(site.ip(node, "-j", "neigh", "show", "to", box))
    if not neighbours:
        assert site.pings(node, box)
        neighbours = json.loads(site.ip(node, "-j", "neigh", "show", "to", box))
    addresses = (neighbours[0]["lladdr"], link["address"])
    return b"".join(bytes.fromhex(text.replace(":", "")) for text in addresses) + b"\x08\x00"
