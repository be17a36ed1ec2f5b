import threading
from pathlib import Path

import pytest

from router.errors import DeviceError
from router.host.machine import netns
from tests.lab.box import Box

pytestmark = pytest.mark.net


def test_a_namespace_is_made_and_deleted(box: Box) -> None:
    assert not netns.exists(box.extra)
    netns.create(box.extra)
    assert netns.exists(box.extra)
    netns.delete(box.extra)
    assert not netns.exists(box.extra)


def test_deleting_a_missing_namespace_is_no_error(box: Box) -> None:
    netns.delete(box.extra)


def test_entering_moves_the_calling_thread_and_brings_it_back(box: Box) -> None:
    before = netns.identity("")
    with netns.inside(box.alice):
        assert netns.identity("") == netns.identity(box.alice) != before
    assert netns.identity("") == before


def test_it_comes_back_when_the_block_raises(box: Box) -> None:
    before = netns.identity("")
    with pytest.raises(KeyError), netns.inside(box.alice):
        raise KeyError
    assert netns.identity("") == before


def test_other_threads_stay_where_they_are(box: Box) -> None:
    seen = []
    outside, done = threading.Event(), threading.Event()

    def other() -> None:
        before = netns.identity("")
        outside.wait()
        seen.append(netns.identity("") == before)
        done.set()

    thread = threading.Thread(target=other)
    thread.start()
    with netns.inside(box.alice):
        outside.set()
        done.wait()
    thread.join()
    assert seen == [True]


def test_the_empty_name_is_where_the_thread_is(box: Box) -> None:
    with netns.inside(""):
        assert netns.identity("") == netns.identity(box.box)


def open_descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def test_no_descriptor_is_left_behind(box: Box) -> None:
    before = open_descriptors()
    for _ in range(5):
        with netns.netlink(box.alice) as netlink:
            netlink.link_lookup(ifname="lo")
    assert open_descriptors() == before


def test_netlink_speaks_of_the_namespace(box: Box) -> None:
    with netns.netlink(box.alice) as netlink:
        assert netlink.link_lookup(ifname="eth0")
        assert not netlink.link_lookup(ifname="eth1")


def test_a_missing_namespace_is_one_sentence(box: Box) -> None:
    with pytest.raises(DeviceError, match=f"^there is no network namespace {box.extra}$"):
        netns.inside(box.extra).__enter__()
