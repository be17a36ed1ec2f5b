import time
from collections.abc import Iterator

import pytest

from router.errors import DeviceError
from router.host.machine import netns
from router.host.machine.neighbours import CACHE_S, MOST_KEPT, UNKNOWN_S, KernelNeighbours
from router.wire.address import parse_address
from tests.lab.box import Box
from tests.lab.scripted import ManualClock

pytestmark = pytest.mark.net

ALICE = parse_address("192.168.1.10")
BOB = parse_address("192.168.1.20")
MAC = "02:00:5e:10:00:0a"
OTHER = "02:00:5e:10:00:0b"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def neighbours(box: Box, clock: ManualClock) -> Iterator[KernelNeighbours]:
    made = KernelNeighbours(box.box, "eth1", clock)
    yield made
    made.close()


def learn(box: Box, address: str, mac: str, state: str = "reachable") -> None:
    box.ip(box.box, "neigh", "replace", address, "lladdr", mac, "nud", state, "dev", "eth1")


def test_a_host_that_has_been_heard_is_known(box: Box, neighbours: KernelNeighbours) -> None:
    assert box.pings(box.alice, "192.168.1.1")
    shown = box.ip(box.alice, "-o", "link", "show", "eth0")
    assert neighbours.mac_of(ALICE) == shown.split("link/ether ")[1].split()[0]


@pytest.mark.parametrize("state", ["reachable", "stale", "permanent"])
def test_it_is_known_in_every_state_that_has_a_card(
    box: Box, neighbours: KernelNeighbours, state: str
) -> None:
    learn(box, "192.168.1.10", MAC, state)
    assert neighbours.mac_of(ALICE) == MAC


def test_a_host_that_does_not_answer_is_not_known(box: Box, neighbours: KernelNeighbours) -> None:
    learn(box, "192.168.1.20", MAC, "failed")
    assert neighbours.mac_of(BOB) == ""
    assert neighbours.mac_of(parse_address("192.168.1.77")) == ""


def test_an_answer_is_kept_for_a_while(
    box: Box, neighbours: KernelNeighbours, clock: ManualClock
) -> None:
    learn(box, "192.168.1.10", MAC)
    assert neighbours.mac_of(ALICE) == MAC
    learn(box, "192.168.1.10", OTHER)
    clock.now += CACHE_S - 0.1
    assert neighbours.mac_of(ALICE) == MAC
    clock.now += 0.2
    assert neighbours.mac_of(ALICE) == OTHER


def test_an_unknown_one_is_asked_about_soon(
    box: Box, neighbours: KernelNeighbours, clock: ManualClock
) -> None:
    assert neighbours.mac_of(ALICE) == ""
    learn(box, "192.168.1.10", MAC)
    assert neighbours.mac_of(ALICE) == ""
    clock.now += UNKNOWN_S
    assert neighbours.mac_of(ALICE) == MAC


def test_a_scan_does_not_fill_the_memory(box: Box, neighbours: KernelNeighbours) -> None:
    learn(box, "192.168.1.10", MAC)
    assert neighbours.mac_of(ALICE) == MAC
    for host in range(2 * MOST_KEPT):
        neighbours.mac_of(parse_address("10.0.0.0") + host)
    assert len(neighbours._known) == MOST_KEPT
    assert neighbours.mac_of(ALICE) == MAC


def test_a_device_made_anew_is_found(
    box: Box, neighbours: KernelNeighbours, clock: ManualClock
) -> None:
    box.ip(box.box, "link", "del", "eth1")
    assert neighbours.mac_of(ALICE) == ""
    box.ip(box.box, "link", "add", "eth1", "type", "bridge")
    box.ip(box.box, "link", "set", "eth1", "up")
    learn(box, "192.168.1.10", MAC)
    clock.now += UNKNOWN_S
    assert neighbours.mac_of(ALICE) == MAC


def test_a_tun_has_no_cards(clock: ManualClock) -> None:
    assert KernelNeighbours("", None, clock).mac_of(ALICE) == ""


def test_it_never_raises_even_when_closed(neighbours: KernelNeighbours, clock: ManualClock) -> None:
    assert neighbours.mac_of(ALICE) == ""
    neighbours.close()
    clock.now += UNKNOWN_S
    assert neighbours.mac_of(ALICE) == ""


def test_an_answer_to_a_former_question_is_not_taken_for_this_one(
    box: Box, neighbours: KernelNeighbours, clock: ManualClock
) -> None:
    learn(box, "192.168.1.10", MAC)
    learn(box, "192.168.1.20", OTHER)
    assert neighbours._socket is not None

    class Deaf:
        """Hears nothing of the answer to its first question."""

        def __init__(self) -> None:
            self.is_deaf = True

        def __getattr__(self, name: str) -> object:
            return getattr(kernel, name)

        def recv(self, size: int) -> bytes:
            if self.is_deaf:
                self.is_deaf = False
                raise BlockingIOError
            return kernel.recv(size)

    kernel, neighbours._socket = neighbours._socket, Deaf()  # type: ignore[assignment]
    assert neighbours.mac_of(ALICE) == ""
    assert neighbours.mac_of(BOB) == OTHER
    clock.now += UNKNOWN_S
    assert neighbours.mac_of(ALICE) == MAC


def test_a_missing_namespace_is_one_sentence(clock: ManualClock) -> None:
    with pytest.raises(DeviceError, match=r"^there is no network namespace pt-never$"):
        KernelNeighbours("pt-never", "eth1", clock)


def test_a_question_takes_no_time_worth_speaking_of(box: Box, neighbours: KernelNeighbours) -> None:
    for host in range(200):
        learn(box, f"192.168.1.{host + 20}", MAC)
    with netns.inside(box.alice):  # wherever the thread is
        took = []
        for host in range(200):
            begun = time.perf_counter()
            assert neighbours.mac_of(parse_address("192.168.1.20") + host) == MAC
            took.append(time.perf_counter() - begun)
    assert sorted(took)[100] < 0.001
