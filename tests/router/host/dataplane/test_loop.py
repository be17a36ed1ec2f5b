import errno
import os
import random
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future

import pytest

from router.devices import Side, Verdict
from router.errors import ControlError, DeviceError
from router.forwarder import ForwarderConfig
from router.host.dataplane.loop import TIMER_PAUSE_S, DataPlane
from router.link.messages import Signal, Warned
from router.reasons import Reason
from router.routing import RoutingConfig
from router.wire.address import Network
from router.wire.checksum import checksum
from router.wire.ipv4 import build
from tests.lab.links import ONE_LINE, a_forwarder, raise_line
from tests.lab.scripted import (
    FAULT,
    FrameSocket,
    ManualClock,
    ScriptedForwarder,
    Transmit,
    frame,
)

TO_WAN = int(Verdict.TO_WAN)
PATIENCE_S = 10.0  # seconds for another thread to get round to it


class Plane:
    """A data plane between two socket pairs; `turn` runs one turn without its thread."""

    def __init__(self) -> None:
        self.lan, self.wan = FrameSocket("lan0"), FrameSocket("wan0")
        self.forwarder = ScriptedForwarder()
        self.clock = ManualClock()
        self.signalled: list[Sequence[Signal]] = []
        self.plane = DataPlane(
            self.forwarder,
            self.lan,
            self.wan,
            clock=self.clock,
            on_signals=lambda signals: self.signalled.append(signals),
        )

    def turn(self) -> None:
        self.plane._turn()

    def close(self) -> None:
        self.plane.stop()
        self.lan.close()
        self.wan.close()


@pytest.fixture
def net() -> Iterator[Plane]:
    net = Plane()
    yield net
    net.close()


def test_frames_cross_on_the_thread(net: Plane) -> None:
    net.plane.start()
    net.wan.far.setblocking(True)
    net.lan.put(frame(TO_WAN, b"over"))
    assert net.wan.far.recv(100) == frame(TO_WAN, b"over")


def test_stop_ends_the_thread_cleanly(net: Plane) -> None:
    net.plane.start()
    net.plane.stop()
    assert net.plane.ended.result(PATIENCE_S) is None
    with pytest.raises(ControlError, match="stopping"):
        net.plane.submit(lambda *_: 1).result(0)


def test_jobs_run_on_the_data_plane_thread_with_its_time(net: Plane) -> None:
    net.plane.start()
    job = net.plane.submit(lambda forwarder, now: (forwarder, now, threading.current_thread().name))
    assert job.result(PATIENCE_S) == (net.forwarder, net.clock.now, "data-plane")


def test_a_job_that_raises_tells_only_who_asked(net: Plane) -> None:
    def fails(*_: object) -> None:
        raise LookupError("no such thing")

    job: Future[None] = net.plane.submit(fails)
    net.turn()
    with pytest.raises(LookupError, match="no such thing"):
        job.result(0)


def test_a_burst_comes_between_two_jobs(net: Plane) -> None:
    order: list[str] = []
    net.plane.submit(lambda *_: order.append("job"))
    net.plane.submit(lambda *_: order.append(f"job, {len(net.forwarder.seen)} frames seen"))
    net.lan.put(frame(0x10 + TO_WAN, b"?"))
    net.turn()
    net.turn()
    assert order == ["job", "job, 1 frames seen"]


def test_frames_made_by_a_job_are_sent(net: Plane) -> None:
    reset = Transmit(Side.WAN, frame(1, b"rst"))
    net.plane.submit(lambda *_: net.forwarder._effects.append(reset))
    net.turn()
    assert net.wan.got() == [reset.frame]


def test_a_job_cancelled_in_time_does_not_run(net: Plane) -> None:
    ran: list[int] = []
    assert net.plane.submit(lambda *_: ran.append(1)).cancel()
    net.turn()
    assert ran == []


def test_jobs_left_at_the_end_are_refused(net: Plane) -> None:
    job = net.plane.submit(lambda *_: 1)
    net.plane.stop()
    with pytest.raises(ControlError, match="stopping"):
        job.result(0)


def test_a_due_timer_runs_and_its_frames_are_sent(net: Plane) -> None:
    net.forwarder.deadline = net.clock.now + 5
    net.forwarder.on_timer = [Transmit(Side.LAN, frame(1, b"late"))]
    net.lan.put(frame(TO_WAN))
    net.turn()
    assert net.forwarder.timers == []
    net.clock.now += 5
    net.turn()
    assert net.forwarder.timers == [net.clock.now]
    assert net.lan.got() == [frame(1, b"late")]


WARNED = Warned("the breaker is open", 0.0)


def test_signals_are_handed_over_after_an_answer(net: Plane) -> None:
    net.forwarder.lines.signals = [WARNED, WARNED]
    net.lan.put(frame(TO_WAN), frame(0x10 + TO_WAN, b"?"), frame(0x10 + int(Verdict.DROP), b"?"))
    net.turn()
    assert net.signalled == []  # the ways of most packets do not ask
    net.lan.put(frame(0x10 + int(Verdict.ANSWERED), b"?"), frame(TO_WAN))
    net.turn()
    assert net.signalled == [[WARNED, WARNED]]


def test_signals_are_handed_over_after_a_timer_and_only_if_there_are_any(net: Plane) -> None:
    net.forwarder.deadline = net.clock.now
    net.lan.put(frame(TO_WAN))
    net.turn()
    assert (net.forwarder.timers, net.signalled) == ([net.clock.now], [])
    net.forwarder.deadline = net.clock.now
    net.forwarder.lines.signals = [WARNED]
    net.lan.put(frame(TO_WAN))
    net.turn()
    assert net.signalled == [[WARNED]]


@pytest.mark.parametrize("outcome", ["result", "exception"])
def test_signals_of_a_job_come_before_its_outcome(net: Plane, outcome: str) -> None:
    def job(*_: object) -> str:
        net.forwarder.lines.signals = [WARNED]
        if outcome == "exception":
            raise LookupError
        return outcome

    def note(done: "Future[str]") -> None:
        seen.append((len(net.signalled), done.exception() is None))

    seen: list[tuple[int, bool]] = []
    net.plane.submit(job).add_done_callback(note)
    net.turn()
    assert seen == [(1, outcome == "result")]


def test_what_was_signalled_before_a_job_is_handed_over_before_it(net: Plane) -> None:
    net.forwarder.lines.signals = [WARNED]
    job = net.plane.submit(lambda *_: list(net.signalled))
    net.turn()
    assert job.result(0) == [[WARNED]]


def test_a_fault_in_what_takes_the_signals_is_noted_and_ends_nothing(
    net: Plane, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_signals: Sequence[Signal]) -> None:
        raise RuntimeError("nobody there")

    net.plane._on_signals = fail
    net.forwarder.lines.signals = [WARNED]
    job = net.plane.submit(lambda *_: 7)
    net.turn()
    assert (job.result(0), net.plane._faults.count) == (7, 1)
    assert "what the links signalled" in caplog.text


def test_without_anybody_to_take_them_signals_do_not_pile_up() -> None:
    forwarder, lan, wan = ScriptedForwarder(), FrameSocket("lan0"), FrameSocket("wan0")
    plane = DataPlane(forwarder, lan, wan, clock=ManualClock())
    forwarder.lines.signals = [WARNED]
    plane.submit(lambda *_: None)
    plane._turn()
    assert forwarder.lines.signals == []
    plane.stop()
    lan.close()
    wan.close()


def test_a_timer_beyond_what_epoll_takes_is_waited_for_in_steps(net: Plane) -> None:
    net.forwarder.deadline = net.clock() + 2**31
    net.lan.put(frame(TO_WAN))
    net.turn()  # learns the deadline
    net.lan.put(frame(TO_WAN))
    net.turn()  # and does not ask the kernel to wait for 68 years
    assert len(net.wan.got()) == 2
    assert net.forwarder.timers == []


def test_a_timer_that_raises_pauses_timers_and_nothing_else(
    net: Plane, caplog: pytest.LogCaptureFixture
) -> None:
    net.forwarder.deadline = net.clock.now
    net.forwarder.timer_fault = RuntimeError("bad timer")
    start = net.clock.now
    net.lan.put(frame(TO_WAN), frame(TO_WAN))
    net.turn()
    net.lan.put(frame(TO_WAN))
    net.turn()
    assert (net.forwarder.timers, len(net.wan.got())) == ([start], 3)
    net.forwarder.timer_fault = None
    net.clock.now += TIMER_PAUSE_S
    net.turn()
    assert net.forwarder.timers == [start, start + TIMER_PAUSE_S]
    assert "a timer" in caplog.text


def test_a_lost_tun_ends_the_thread_with_a_sentence(net: Plane) -> None:
    def gone(_fd: int, _buffers: list[bytearray]) -> int:
        raise OSError(errno.EBADFD, "File descriptor in bad state")

    def lose(*_: object) -> None:
        net.plane._lan.read = gone
        net.plane._make_pumps()

    net.plane.start()
    net.plane.submit(lose).result(PATIENCE_S)
    net.lan.put(frame(TO_WAN))
    with pytest.raises(DeviceError, match="the TUN device lan0 is gone"):
        net.plane.ended.result(PATIENCE_S)
    with pytest.raises(ControlError, match="stopping"):
        net.plane.traffic().result(PATIENCE_S)


def test_odd_frames_do_not_stop_a_real_forwarder() -> None:
    """Cut, damaged and random frames from both sides, then an honest one."""
    rng = random.Random(20)
    routing = RoutingConfig(0xC0A80101, Network.parse("192.168.1.0/24"))
    forwarder = a_forwarder(ForwarderConfig(routing, ONE_LINE), now=0.0)
    raise_line(forwarder, 0xCB007102, now=0.0)
    lan, wan = FrameSocket("lan0"), FrameSocket("wan0")
    plane = DataPlane(forwarder, lan, wan, clock=ManualClock())
    honest = bytes(10) + build(0xC0A8010A, 0xC6336407, 17, bytes.fromhex("0fa0003500080000"))
    try:
        for _ in range(3000):
            rng.choice((lan, wan)).put(_odd(honest, rng))
            plane._turn()
            lan.got()
            wan.got()
        lan.put(honest)
        plane._turn()
        assert len(wan.got()) == 1
        assert plane._faults.count == 0
        assert forwarder.counters[Reason.MALFORMED] > 100
    finally:
        plane.stop()
        lan.close()
        wan.close()


def _odd(honest: bytes, rng: random.Random) -> bytes:
    length = rng.randint(1, 200)
    if rng.random() < 0.3:
        return rng.randbytes(length)
    damaged = bytearray(honest + rng.randbytes(length))
    damaged[10 + 9] = rng.choice((1, 6, 17, 47, rng.randrange(256)))
    for _ in range(rng.randint(0, 4)):
        damaged[rng.randrange(len(damaged))] = rng.randrange(256)
    if rng.random() < 0.7:  # else the header checksum lets few of them past the first look
        damaged[20:22] = bytes(2)
        damaged[20:22] = checksum(bytes(damaged[10:30])).to_bytes(2, "big")
    return bytes(damaged[: rng.randint(1, len(damaged))])


class Camera:
    def __init__(self) -> None:
        self.shots: list[tuple[Side, bytes, bool]] = []

    def offer(self, side: Side, frame: bytes | memoryview, *, inbound: bool) -> None:
        self.shots.append((side, bytes(frame), inbound))


def test_a_watcher_sees_both_sides_of_the_translation(net: Plane) -> None:
    camera, other = Camera(), Camera()
    for watcher in (camera, other):
        net.plane.watch(watcher)
        net.turn()
    net.lan.put(frame(0x10 + TO_WAN, b"\x00data"))
    net.turn()
    assert camera.shots == [
        (Side.LAN, frame(0x10 + TO_WAN, b"\x00data"), True),
        (Side.WAN, frame(0x10 + TO_WAN, b"\xffdata"), False),
    ]
    net.plane.unwatch(camera)
    net.turn()
    net.lan.put(frame(TO_WAN))
    net.turn()
    assert (len(camera.shots), len(other.shots)) == (2, 4)


def test_without_watchers_the_ports_use_the_bare_system_calls(net: Plane) -> None:
    camera = Camera()
    net.plane.watch(camera)
    net.turn()
    net.plane.unwatch(camera)
    net.turn()
    for port in (net.plane._lan, net.plane._wan):
        assert (port.read, port.write) == (os.readv, os.write)


def test_traffic_counts_everything(net: Plane) -> None:
    net.lan.put(frame(TO_WAN, b"12345"), frame(0x10 + TO_WAN, b"1"), frame(FAULT))
    net.turn()
    report = net.plane.traffic()
    net.turn()
    traffic = report.result(0)
    assert (traffic.lan.tun, traffic.lan.received_packets, traffic.lan.received_bytes) == (
        "lan0", 3, 9,
    )  # fmt: skip
    assert (traffic.wan.sent_packets, traffic.wan.sent_bytes) == (2, 8)
    assert (traffic.cache_hits, traffic.cache_misses, traffic.faults) == (1, 2, 1)
    assert [(count.reason, count.packets) for count in traffic.reasons] == [("session", 3)]
