"""A plumbed machine with the simplest of routers in it: what one TUN gives, the other takes."""

import os
import select
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from router.host.machine import netns
from router.host.machine.journal import Journal
from router.host.machine.plumbing import (
    LanNic,
    LanSide,
    LineAddress,
    Plumbing,
    WanLink,
    WanSide,
)
from router.host.machine.tun import TunDevice
from router.routing import LanRoute
from router.wire.address import Network, parse_address
from router.wire.vnet import VNET_HEADER_LENGTH
from tests.lab.box import Box

ROUTE = LanRoute(Network.parse("192.168.7.0/24"), parse_address("192.168.1.254"))


class Plumbed:
    """The box in use, all its lines down; `seen` holds the packets each TUN gave, by name."""

    def __init__(self, plumbing: Plumbing) -> None:
        self._plumbing = plumbing
        self._lan, self._wan = plumbing.apply()
        self._stop_read, self._stop_write = os.pipe()
        self.seen: dict[str, list[bytes]] = {self._lan.name: [], self._wan.name: []}
        self._thread = threading.Thread(target=self._copy)
        self._thread.start()

    def raise_line(self, line: LineAddress, name: str = "isp") -> None:
        self._plumbing.raise_line(name, line)

    def drop_line(self, name: str = "isp") -> None:
        assert self._plumbing.drop_line(name) == []

    def put_on_lan(self, packet: bytes) -> None:
        self._lan.write(bytes(VNET_HEADER_LENGTH) + packet)

    def put_on_wan(self, packet: bytes) -> None:
        self._wan.write(bytes(VNET_HEADER_LENGTH) + packet)

    def sources(self, tun: str) -> set[str]:
        return {socket.inet_ntoa(packet[12:16]) for packet in self.seen[tun]}

    def destinations(self, tun: str) -> set[str]:
        return {socket.inet_ntoa(packet[16:20]) for packet in self.seen[tun]}

    def die(self) -> None:
        """End as a killed process does: its descriptors close, and nothing else happens."""
        self._stop()
        self._lan.close()
        self._wan.close()

    def end(self) -> None:
        self._stop()
        assert self._plumbing.undo() == []

    def _stop(self) -> None:
        if self._thread.is_alive():
            os.write(self._stop_write, b".")
            self._thread.join()
            os.close(self._stop_read)
            os.close(self._stop_write)

    def _copy(self) -> None:
        across = {
            self._lan.fileno(): (self._lan, self._wan),
            self._wan.fileno(): (self._wan, self._lan),
        }
        while True:
            ready, _, _ = select.select([self._stop_read, *across], [], [])
            if self._stop_read in ready:
                return
            for descriptor in ready:
                self._pass_on(*across[descriptor])

    def _pass_on(self, here: TunDevice, there: TunDevice) -> None:
        buffer = bytearray(70000)
        length = here.read_into(buffer)
        if length:
            self.seen[here.name].append(bytes(buffer[VNET_HEADER_LENGTH:length]))
            there.write(bytes(buffer[:length]))


def a_line(address: str = "203.0.113.2", *, gateway: str | None = "203.0.113.1") -> LineAddress:
    return LineAddress(
        parse_address(address), 24, 1500, parse_address(gateway) if gateway else None
    )


@contextmanager
def plumbed(
    box: Box,
    journal: Path,
    *,
    wan_nic: bool = True,
    gateway: str | None = "203.0.113.1",
) -> Iterator[Plumbed]:
    """Yield the box in use with its one line up."""
    with with_lines(box, journal, WanLink("isp", "eth2" if wan_nic else None)) as running:
        running.raise_line(a_line(gateway=gateway))
        yield running


@contextmanager
def with_lines(box: Box, journal: Path, *links: WanLink) -> Iterator[Plumbed]:
    lan = LanNic("eth1", parse_address("192.168.1.1"), Network.parse("192.168.1.0/24"), (ROUTE,))
    published = (Network.parse("203.0.113.16/30"),)
    running = Plumbed(
        Plumbing(
            LanSide("lan0", 1500, nic=lan),
            WanSide("wan0", box.wan, links, published),
            Journal(journal),
        )
    )
    try:
        yield running
    finally:
        running.end()


@contextmanager
def listening(
    namespace: str, port: int, kind: socket.SocketKind, device: str = ""
) -> Iterator[socket.socket]:
    """A socket on every address of the namespace, or of one device there."""
    with netns.inside(namespace):
        service = socket.socket(socket.AF_INET, kind)
    with service:
        service.settimeout(1)
        service.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device.encode())
        service.bind(("", port))
        if kind is socket.SOCK_STREAM:
            service.listen()
        yield service


def udp(source: str, destination: str, port: int, payload: bytes) -> bytes:
    """Return a datagram from port 53 without a UDP checksum."""
    header = bytearray.fromhex("4500 0000 0000 0000 4011 0000")
    header[2:4] = (28 + len(payload)).to_bytes(2, "big")
    header += socket.inet_aton(source) + socket.inet_aton(destination)
    total = sum(int.from_bytes(header[at : at + 2], "big") for at in range(0, 20, 2))
    header[10:12] = (~((total & 0xFFFF) + (total >> 16)) & 0xFFFF).to_bytes(2, "big")
    ports = (53).to_bytes(2, "big") + port.to_bytes(2, "big")
    return bytes(header) + ports + (8 + len(payload)).to_bytes(2, "big") + bytes(2) + payload


def answers(namespace: str, address: str, port: int) -> str:
    """Return what a TCP client in the namespace meets: `open`, `refused` or `silence`."""
    with netns.inside(namespace):
        client = socket.socket()
    with client:
        client.settimeout(0.5)
        try:
            client.connect((address, port))
        except ConnectionRefusedError:
            return "refused"
        except OSError:  # a timeout, or no answer to ARP
            return "silence"
        return "open"
