"""One suite for every `router.devices.Tun`, then what only the real device has."""

import ctypes
import fcntl
import os
import select
import socket
import struct
import sys
from collections.abc import Iterator
from typing import Protocol

import pytest

from router.devices import Tun
from router.errors import DeviceError
from router.host.machine import netns
from router.host.machine.tun import QUEUE_LENGTH, TunDevice, open_tun
from router.wire.vnet import PLAIN, VNET_HEADER_LENGTH
from tests.lab.box import Box, run
from tests.lab.wire import FakeTun

PACKET_OUTGOING = 4  # linux/if_packet.h: seen because this machine sent it
DEVICE = "ptun0"


def datagram(number: int, size: int = 40) -> bytes:
    """An IPv4 header whose identification is `number`, and zeros."""
    header = bytearray(20)
    header[0], header[8], header[9] = 0x45, 64, 253  # protocol 253: for experiments (RFC 3692)
    header[2:4] = size.to_bytes(2, "big")
    header[4:6] = number.to_bytes(2, "big")
    header[12:20] = bytes([10, 9, 8, 7, 10, 9, 8, 6])
    return bytes(header) + bytes(size - 20)


class Ends(Protocol):
    """A TUN under test and the network behind it."""

    @property
    def tun(self) -> Tun: ...
    def put(self, *packets: bytes) -> None: ...
    def got(self) -> list[bytes]: ...
    def vanish(self) -> None: ...


class RealEnds:
    """A TUN of the kernel's; a packet socket on the device is the network behind it."""

    def __init__(self, box: Box) -> None:
        self.tun = open_tun(DEVICE, netns=box.extra, mtu=1500)
        self._box = box
        with netns.inside(box.extra):
            self._far = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x0800))
            self._far.bind((DEVICE, 0x0800))

    def put(self, *packets: bytes) -> None:
        for packet in packets:
            self._far.sendto(packet, (DEVICE, 0x0800))

    def got(self) -> list[bytes]:
        self._far.setblocking(False)
        packets: list[bytes] = []
        while True:
            try:
                packet, (_, _, kind, *_) = self._far.recvfrom(70000)
            except BlockingIOError:
                return packets
            if kind != PACKET_OUTGOING:
                packets.append(packet)

    def vanish(self) -> None:
        self._box.ip(self._box.extra, "link", "del", DEVICE)

    def close(self) -> None:
        self._far.close()
        self.tun.close()


class FakeEnds(FakeTun):
    @property
    def tun(self) -> Tun:
        return self


@pytest.fixture
def namespace(box: Box) -> Box:
    netns.create(box.extra)
    box.ip(box.extra, "link", "set", "lo", "up")
    return box


@pytest.fixture(params=["fake", pytest.param("real", marks=pytest.mark.net)])
def ends(request: pytest.FixtureRequest) -> Iterator[Ends]:
    made: FakeEnds | RealEnds
    if request.param == "fake":
        made = FakeEnds(DEVICE)
    else:
        made = RealEnds(request.getfixturevalue("namespace"))
    yield made
    made.close()


def read(tun: Tun) -> bytes:
    buffer = bytearray(70000)
    return bytes(buffer[: tun.read_into(buffer)])


def is_readable(tun: Tun, seconds: float = 0.0) -> bool:
    return bool(select.select([tun], [], [], seconds)[0])


class TestEveryTun:
    def test_it_knows_its_name_and_mtu(self, ends: Ends) -> None:
        assert (ends.tun.name, ends.tun.mtu) == (DEVICE, 1500)

    def test_nothing_waits_at_first(self, ends: Ends) -> None:
        assert not is_readable(ends.tun)
        assert read(ends.tun) == b""

    def test_a_packet_comes_after_ten_header_bytes(self, ends: Ends) -> None:
        ends.put(datagram(1))
        assert is_readable(ends.tun, seconds=1)
        assert read(ends.tun) == PLAIN + datagram(1)
        assert read(ends.tun) == b""

    def test_packets_keep_their_order_and_their_bounds(self, ends: Ends) -> None:
        sent = [datagram(number, size=20 + number * 100) for number in range(10)]
        ends.put(*sent)
        assert [read(ends.tun)[VNET_HEADER_LENGTH:] for _ in sent] == sent

    def test_the_buffer_behind_the_frame_is_left_alone(self, ends: Ends) -> None:
        buffer = bytearray(b"\xee" * 2000)
        ends.put(datagram(1))
        length = ends.tun.read_into(buffer)
        assert buffer[length:] == b"\xee" * (2000 - length)

    @pytest.mark.parametrize("kind", [bytes, memoryview])
    def test_what_is_written_arrives_without_the_header(
        self, ends: Ends, kind: type[bytes] | type[memoryview]
    ) -> None:
        ends.tun.write(kind(PLAIN + datagram(7)))
        ends.tun.write(kind(PLAIN + datagram(8)))
        assert ends.got() == [datagram(7), datagram(8)]

    def test_a_flood_is_lost_and_never_raises(self, ends: Ends) -> None:
        for number in range(3000):
            ends.tun.write(PLAIN + datagram(number, size=1500))
        arrived = ends.got()
        assert arrived[0] == datagram(0, size=1500)
        assert len(arrived) < 3000

    def test_a_device_that_has_gone_raises(self, ends: Ends) -> None:
        ends.vanish()
        with pytest.raises(OSError, match="File descriptor in bad state"):
            read(ends.tun)
        with pytest.raises(OSError, match="File descriptor in bad state"):
            ends.tun.write(PLAIN + datagram(1))


@pytest.mark.net
class TestCreated:
    @pytest.fixture
    def tun(self, namespace: Box) -> Iterator[TunDevice]:
        tun = open_tun(DEVICE, netns=namespace.extra, mtu=1400)
        yield tun
        tun.close()

    def test_it_is_up_and_sized(self, namespace: Box, tun: TunDevice) -> None:
        shown = namespace.ip(namespace.extra, "-d", "link", "show", DEVICE)
        assert tun.created
        assert "mtu 1400" in shown
        assert f"qlen {QUEUE_LENGTH}" in shown
        assert ",UP," in shown
        assert "vnet_hdr on" in shown
        assert "pi off" in shown

    def test_the_kernel_puts_nothing_of_its_own_into_it(
        self, namespace: Box, tun: TunDevice
    ) -> None:
        assert "inet6" not in namespace.ip(namespace.extra, "addr", "show", DEVICE)
        assert read(tun) == b""

    def test_it_goes_with_its_descriptor(self, namespace: Box, tun: TunDevice) -> None:
        other = open_tun("ptun1", netns=namespace.extra, mtu=1400)
        other.close()
        shown = namespace.ip(namespace.extra, "link")
        assert tun.name in shown
        assert other.name not in shown

    def test_what_is_started_does_not_keep_it_alive(self, tun: TunDevice) -> None:
        assert not os.get_inheritable(tun.fileno())

    def test_closing_twice_is_closing_once(self, tun: TunDevice) -> None:
        tun.close()
        tun.close()

    def test_the_thread_is_back_and_the_device_still_works(
        self, namespace: Box, tun: TunDevice
    ) -> None:
        assert netns.identity("") == netns.identity(namespace.box)
        namespace.ip(namespace.extra, "addr", "add", "10.9.8.7/24", "dev", DEVICE)
        assert not namespace.pings(namespace.extra, "10.9.8.6")
        assert read(tun)[VNET_HEADER_LENGTH + 12 :][:8] == bytes([10, 9, 8, 7, 10, 9, 8, 6])

    def test_a_large_send_comes_as_one_super_packet(self, namespace: Box, tun: TunDevice) -> None:
        namespace.ip(namespace.extra, "addr", "add", "10.9.8.7/24", "dev", DEVICE)
        with netns.inside(namespace.extra):
            sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with sender:
            sender.setsockopt(socket.IPPROTO_UDP, 103, 1000)  # UDP_SEGMENT, linux/udp.h
            sender.sendto(bytes(20_000), ("10.9.8.6", 9))
        frame = read(tun)
        assert len(frame) == VNET_HEADER_LENGTH + 28 + 20_000
        assert frame[0] & 1  # NEEDS_CSUM: the checksum is left to us
        assert frame[1] == 5  # GSO_UDP_L4


@pytest.mark.net
class TestPersistent:
    @pytest.fixture(autouse=True)
    def device(self, namespace: Box) -> None:
        namespace.ip(namespace.extra, "tuntap", "add", DEVICE, "mode", "tun")
        namespace.ip(namespace.extra, "addr", "add", "10.9.8.7/24", "dev", DEVICE)
        namespace.ip(namespace.extra, "link", "set", DEVICE, "mtu", "1300", "up")

    def test_it_keeps_its_address_and_mtu_and_stays(self, namespace: Box) -> None:
        tun = open_tun(DEVICE, netns=namespace.extra, mtu=1500)
        assert (tun.created, tun.mtu) == (False, 1300)
        tun.close()
        shown = namespace.ip(namespace.extra, "addr", "show", DEVICE)
        assert "10.9.8.7/24" in shown
        assert "mtu 1300" in shown

    def test_it_can_be_attached_again(self, namespace: Box) -> None:
        open_tun(DEVICE, netns=namespace.extra, mtu=1500).close()
        open_tun(DEVICE, netns=namespace.extra, mtu=1500).close()

    def test_it_is_given_back_without_offloads(self, namespace: Box) -> None:
        tun = open_tun(DEVICE, netns=namespace.extra, mtu=1500)
        assert segments_tcp(namespace.extra)
        tun.close()
        assert not segments_tcp(namespace.extra)


def segments_tcp(namespace: str) -> bool:
    """Return whether the kernel leaves TCP segmentation to the device (ETHTOOL_GTSO)."""
    value = ctypes.create_string_buffer(struct.pack("II", 0x1E, 0), 8)
    with netns.inside(namespace), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        request = struct.pack("16sQ16x", DEVICE.encode(), ctypes.addressof(value))
        fcntl.ioctl(probe, 0x8946, request)  # SIOCETHTOOL
    return bool(struct.unpack("II", value.raw)[1])


@pytest.mark.net
class TestRefusals:
    def test_busy(self, namespace: Box) -> None:
        tun = open_tun(DEVICE, netns=namespace.extra, mtu=1500)
        sentence = f"^TUN device {DEVICE} in namespace {namespace.extra} is in use by another prog"
        with pytest.raises(DeviceError, match=sentence):
            open_tun(DEVICE, netns=namespace.extra, mtu=1500)
        tun.close()

    @pytest.mark.parametrize(
        "command",
        [
            ("tuntap", "add", DEVICE, "mode", "tap"),
            ("tuntap", "add", DEVICE, "mode", "tun", "multi_queue"),
            ("link", "add", DEVICE, "type", "bridge"),
        ],
    )
    def test_another_kind_of_device(self, namespace: Box, command: tuple[str, ...]) -> None:
        namespace.ip(namespace.extra, *command)
        with pytest.raises(DeviceError, match=r"exists and is not a single-queue TUN device$"):
            open_tun(DEVICE, netns=namespace.extra, mtu=1500)

    def test_no_such_namespace(self, box: Box) -> None:
        with pytest.raises(DeviceError, match=f"^there is no network namespace {box.extra}$"):
            open_tun(DEVICE, netns=box.extra, mtu=1500)

    def test_no_driver(self) -> None:
        hidden = "mount -t tmpfs none /dev/net && exec"
        assert run("unshare", "-m", "sh", "-c", f"{hidden} {opening()}") == (
            "there is no /dev/net/tun: load the kernel module with 'modprobe tun'\n"
        )

    def test_not_root(self) -> None:
        assert run("sh", "-c", opening(before="os.setuid(65534)")) == (
            f"cannot open TUN device {DEVICE}: this needs root (CAP_NET_ADMIN)\n"
        )


def opening(before: str = "") -> str:
    """Return a shell command that opens a TUN in a child and prints the refusal."""
    program = (
        "import os\nfrom router.errors import DeviceError\n"
        "from router.host.machine.tun import open_tun\n"
        f"{before}\ntry:\n    open_tun('{DEVICE}', netns='', mtu=1500)\n"
        "except DeviceError as error:\n    print(error)\n"
    )
    return f'{sys.executable} -c "{program}"'
