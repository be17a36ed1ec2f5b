"""The data-plane thread: sole owner of the forwarder and of both TUN descriptors.

Theory of operation. The thread sleeps in epoll until a side has frames, a message has come,
or the forwarder's next deadline. Then each readable side moves one burst (`pump`), one message
is served, and due timers are handled; frames the forwarder made meanwhile are sent.

Nothing is shared with other threads. They `submit` a job; it runs here between bursts as
`job(forwarder, now)`, and its result travels back in a future. A job must be brief, because
packets wait for it, and must return what nobody changes any more: rows, numbers, tuples. Long
answers are fetched in pieces.

What the forwarder's links signal is handed to `on_signals` on this thread, in order, after each
answer, job and timer. What a job finds has been signalled before it, and what it does before its
future is done: whoever asked learns of it no sooner than everybody else. `on_signals` passes them
on and must not block.

`ended` is done when the thread is: with None after `stop`, with a DeviceError when a TUN has
gone. Faults of the forwarder do not end it, nor do those of `on_signals`.
"""

import os
import queue
import select
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from functools import partial
from typing import Protocol, TypeVar

from router.devices import Clock, Side, Tun
from router.errors import ControlError, DeviceError
from router.host.dataplane.faults import Faults
from router.host.dataplane.protocols import Forwarder
from router.host.dataplane.pump import Port, Pump, make_pump, send_effects
from router.host.dataplane.traffic import FlawCount, ReasonCount, SideTraffic, Traffic
from router.link.messages import Signal

__all__ = ["DataPlane", "Watcher"]

LONGEST_WAIT_S = 3600.0  # seconds; epoll takes at most 2**31 ms, a configured timer may be longer
TIMER_PAUSE_S = 1.0  # seconds without timers after an internal fault in one

_T = TypeVar("_T")


class Watcher(Protocol):
    """A capture: sees each frame that is read from or written to a side."""

    def offer(self, side: Side, frame: bytes | memoryview, *, inbound: bool) -> None:
        """Copy the frame or leave it; must not block. `inbound` frames were read."""
        ...


class DataPlane:
    """Moves frames between two TUNs on a thread of its own; without `on_signals` none are kept."""

    def __init__(
        self,
        forwarder: Forwarder,
        lan: Tun,
        wan: Tun,
        *,
        clock: Clock = time.monotonic,
        on_signals: Callable[[Sequence[Signal]], None] | None = None,
    ) -> None:
        self.ended: Future[None] = Future()
        self._forwarder = forwarder
        self._clock = clock
        self._on_signals = on_signals
        self._faults = Faults(clock)
        self._lan = Port(Side.LAN, lan.name, lan.fileno())
        self._wan = Port(Side.WAN, wan.name, wan.fileno())
        self._watchers: tuple[Watcher, ...] = ()
        self._jobs: queue.SimpleQueue[Callable[[float], None]] = queue.SimpleQueue()
        # As a semaphore it wakes once per job, so bursts come between any two jobs.
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC | os.EFD_SEMAPHORE)
        self._epoll = select.epoll()
        self._pumps: dict[int, Pump] = {self._wake: self._serve_one}
        self._deadline: float | None = None
        self._timers_rest_until = float("-inf")
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="data-plane")
        self._make_pumps()
        for fd in self._pumps:
            self._epoll.register(fd, select.EPOLLIN)

    def start(self) -> None:
        """Start moving frames."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread after the burst at hand; jobs not yet begun are refused."""
        if self._epoll.closed:
            return
        self._stopping = True
        if self._thread.ident is not None:
            os.eventfd_write(self._wake, 1)
            self._thread.join()
        self._epoll.close()
        os.close(self._wake)
        while not self._jobs.empty():
            self._jobs.get()(self._clock())

    def submit(self, job: Callable[[Forwarder, float], _T]) -> "Future[_T]":
        """Run `job(forwarder, now)` on the data-plane thread; return its future result.

        The future raises what the job raises, and ControlError once the data plane stops.
        """
        future: Future[_T] = Future()
        if self._stopping:
            future.set_exception(ControlError("the router is stopping"))
            return future
        self._jobs.put(partial(self._perform, job, future))
        os.eventfd_write(self._wake, 1)
        return future

    def watch(self, watcher: Watcher) -> "Future[None]":
        """Show every frame to `watcher` from now on."""
        return self.submit(lambda *_: self._set_watchers((*self._watchers, watcher)))

    def unwatch(self, watcher: Watcher) -> "Future[None]":
        """Show no more frames to `watcher`."""
        return self.submit(
            lambda *_: self._set_watchers(
                tuple(other for other in self._watchers if other is not watcher)
            )
        )

    def traffic(self) -> "Future[Traffic]":
        """Return all counts."""
        return self.submit(self._count)

    def _run(self) -> None:
        try:
            while not self._stopping:
                self._turn()
        except BaseException as error:
            self._stopping = True
            self.ended.set_exception(error)
        else:
            self.ended.set_result(None)

    def _turn(self) -> None:
        """Wait for work and do it once round."""
        timeout = LONGEST_WAIT_S
        if self._deadline is not None:
            timeout = min(timeout, max(0.0, self._deadline - self._clock()))
        for fd, _ in self._epoll.poll(timeout):
            self._pumps[fd](self._clock())
        self._handle_timers(self._clock())
        for port in (self._lan, self._wan):
            if port.lost is not None:
                raise DeviceError(f"the TUN device {port.name} is gone: {port.lost.strerror}")

    def _handle_timers(self, now: float) -> None:
        forwarder = self._forwarder
        try:
            deadline = forwarder.next_deadline()
            if deadline is not None and max(deadline, self._timers_rest_until) <= now:
                forwarder.handle_timer(now=now)
                send_effects(forwarder, self._lan, self._wan)
                self._hand_over_signals()
                deadline = forwarder.next_deadline()
        except Exception:
            self._faults.note(None)
            deadline = self._timers_rest_until = now + TIMER_PAUSE_S
        if deadline is not None:
            deadline = max(deadline, self._timers_rest_until)
        self._deadline = deadline

    def _serve_one(self, now: float) -> None:
        os.eventfd_read(self._wake)
        if not self._stopping:
            self._jobs.get()(now)

    def _perform(
        self, job: Callable[[Forwarder, float], _T], future: "Future[_T]", now: float
    ) -> None:
        if not future.set_running_or_notify_cancel():
            return
        try:
            if self._stopping:
                raise ControlError("the router is stopping")
            self._hand_over_signals()  # whatever is left of packets: a job comes after it
            try:
                result = job(self._forwarder, now)
            finally:
                send_effects(self._forwarder, self._lan, self._wan)
                self._hand_over_signals()
        except Exception as error:
            future.set_exception(error)
        else:
            future.set_result(result)

    def _hand_over_signals(self) -> None:
        try:
            signals = self._forwarder.lines.take_signals()
            if signals and self._on_signals is not None:
                self._on_signals(signals)
        except Exception:
            self._faults.note(None, what="what the links signalled")

    def _make_pumps(self) -> None:
        lan, wan, hand_over = self._lan, self._wan, self._hand_over_signals
        self._pumps[lan.fd] = make_pump(lan, wan, self._forwarder, self._faults, hand_over)
        self._pumps[wan.fd] = make_pump(wan, lan, self._forwarder, self._faults, hand_over)

    def _set_watchers(self, watchers: tuple[Watcher, ...]) -> None:
        self._watchers = watchers
        for port in (self._lan, self._wan):
            port.read, port.write = os.readv, os.write
            if watchers:
                _show(port, watchers)
        self._make_pumps()

    def _count(self, forwarder: Forwarder, _now: float) -> Traffic:
        ports = (self._lan, self._wan)
        misses = sum(port.cache_misses for port in ports)
        return Traffic(
            lan=_side_traffic(self._lan),
            wan=_side_traffic(self._wan),
            reasons=tuple(
                ReasonCount(reason.slug, reason.sentence, packets)
                for reason, packets in forwarder.counters.items()
            ),
            malformed=tuple(
                FlawCount(flaw.name.lower().replace("_", "-"), flaw.value, packets)
                for flaw, packets in forwarder.malformed.items()
            ),
            sessions=forwarder.session_count,
            mappings=forwarder.mapping_count,
            cache_hits=sum(port.received_packets for port in ports) - misses,
            cache_misses=misses,
            faults=self._faults.count,
        )


def _show(port: Port, watchers: tuple[Watcher, ...]) -> None:
    """Wrap the port's system calls so that `watchers` see every frame."""
    side = port.side

    def read(fd: int, buffers: list[bytearray]) -> int:
        length = os.readv(fd, buffers)
        frame = memoryview(buffers[0])[:length]
        for watcher in watchers:
            watcher.offer(side, frame, inbound=True)
        return length

    def write(fd: int, frame: bytes | memoryview) -> int:
        written = os.write(fd, frame)
        for watcher in watchers:
            watcher.offer(side, frame, inbound=False)
        return written

    port.read, port.write = read, write


def _side_traffic(port: Port) -> SideTraffic:
    return SideTraffic(
        tun=port.name,
        received_packets=port.received_packets,
        received_bytes=port.received_bytes,
        sent_packets=port.sent_packets,
        sent_bytes=port.sent_bytes,
        queue_drops=port.queue_drops,
        down_drops=port.down_drops,
        refused_drops=port.refused_drops,
    )
