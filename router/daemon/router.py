"""The router: everything brought up in order, kept running, and taken down again.

Theory of operation. Up: the instance lock, what a killed predecessor left, devices and routes, the
forwarder, the ledger, the data-plane thread, lines that are up already, names on the LAN, the
control sockets. Down: the same backwards, whatever the reason; lines that were raised are hung up.
Devices and routes are arranged before the event loop starts and undone after it has ended, because
netlink calls block; those of single lines come and go on a thread of their own
(`router.host.lines`).

SIGTERM and SIGINT end the process with code 0; SIGHUP reads the forward rules again and keeps
the old ones when the file is wrong. They are blocked from the beginning to the end, and let in
only while the event loop is there to take them: a signal waits while devices and routes are
arranged, which takes a second or two, and nothing is ever left half done. They stay blocked
afterwards, because the process is about to end. A `kill -9` leaves the journal for the next start.
"""

import asyncio
import logging
import os
import random
import signal
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import asdict, replace
from typing import Any, TypeVar

from router import __version__
from router.config import Config
from router.daemon.attendant import Attendant, civil_offset, wall
from router.daemon.forwards import RunningForwards
from router.daemon.garbage import collect_young_only, sweep_at_leisure
from router.daemon.names import require_dnsmasq, serving_names
from router.daemon.sides import backends, lan_side, neighbours, wan_side
from router.devices import Tun
from router.errors import ConfigError, ControlError, DeviceError
from router.forwarder import Forwarder
from router.host.control.access import load_token
from router.host.control.events import EventHub
from router.host.control.listener import listening, open_on_lan
from router.host.control.server import ControlApi
from router.host.dataplane.loop import DataPlane
from router.host.dataplane.protocols import Forwarder as FarForwarder
from router.host.ledger.ledger import AsyncLedger
from router.host.lines.supervisor import LineSupervisor
from router.host.machine import netns
from router.host.machine.journal import Journal
from router.host.machine.lock import instance_lock
from router.host.machine.plumbing import Plumbing
from router.host.names.service import NameService
from router.host.ppp.wiretap import Wiretaps
from router.link.calendar import Calendar
from router.link.messages import Report, Signal
from router.wire.address import format_address

__all__ = ["run"]

# Seconds a thread may keep the interpreter while another waits. At the default of 5 ms the
# control API's thread would hold up each system call of the data plane for that long.
SWITCH_INTERVAL_S = 0.0001

_ENDING = (signal.SIGTERM, signal.SIGINT)
_TAKEN = frozenset({*_ENDING, signal.SIGHUP})
_log = logging.getLogger(__name__)
_T = TypeVar("_T")


def run(config: Config) -> None:
    """Be the router until a signal ends it.

    Raises DeviceError or ControlError when it cannot start or a device is lost, ConfigError for
    what it reads only now (forward rules, the token); what was arranged on the machine has then
    been undone, too. The process must end after it: the signals that end it stay blocked.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, _TAKEN)
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    forwards = config.load_forwards()
    token = None if config.router.token_file is None else load_token(config.router.token_file)
    require_dnsmasq(config)
    with instance_lock(config.router.state_dir):
        plumbing = Plumbing(
            lan_side(config), wan_side(config), Journal(config.router.state_dir / "journal")
        )
        _warn(plumbing.recover())
        try:
            lan, wan = plumbing.apply()
            forwarder = Forwarder(
                replace(config.forwarder_config(), lan_mtu=lan.mtu),
                rng=random.SystemRandom(),
                calendar=Calendar(config.zone, civil_offset()),
                neighbours=neighbours(config),
                now=time.monotonic(),
                forwards=forwards,
            )
            asyncio.run(_Router(config, plumbing, forwarder, lan, wan, token).serve())
        finally:
            left = plumbing.undo()
            _warn(left)
    if left:
        raise DeviceError("not everything on the machine could be put back; see the warnings above")
    _log.info("ended")


class _Router:
    """The router between arranging the machine and restoring it."""

    def __init__(
        self,
        config: Config,
        plumbing: Plumbing,
        forwarder: Forwarder,
        lan: Tun,
        wan: Tun,
        token: str | None,
    ) -> None:
        self._config = config
        self._lan = lan
        self._wan = wan
        self._token = token
        self._started_at = time.monotonic()
        self._dataplane = DataPlane(forwarder, lan, wan, on_signals=self._hand_over)
        self._plumbing = plumbing
        self._forwards = RunningForwards(self._dataplane, config)
        self._events = EventHub()
        self._wiretaps = Wiretaps()
        self._supervisor: LineSupervisor | None = None
        self._attendant: Attendant | None = None
        self._names: NameService | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop = asyncio.Event()

    async def serve(self) -> None:
        """Forward packets and answer requests until told to stop or a device is lost."""
        loop = self._loop = asyncio.get_running_loop()
        for number in _ENDING:
            loop.add_signal_handler(number, self._stop.set)
        loop.add_signal_handler(signal.SIGHUP, self._reload_soon)
        ended = self._dataplane.ended
        ended.add_done_callback(lambda _: loop.call_soon_threadsafe(self._stop.set))
        names = [link.name for link in self._config.links]
        ledger = await AsyncLedger.open(self._config.router.state_dir, wall, names)
        metered = [link.name for link in self._config.links if link.metered]
        supervisor = self._supervisor = LineSupervisor(
            backends(self._config, self._wiretaps), self._plumbing, self._report
        )
        attendant = Attendant(self._dataplane, supervisor, self._events, ledger, metered)
        self._attendant = attendant
        for tun in (self._lan, self._wan):
            _log.info("%s ready", tun.name)
        collect_young_only()
        self._dataplane.start()  # before signals are let in: its thread never takes any
        books = asyncio.create_task(attendant.keep_books())
        try:
            await attendant.load_usage()
            await supervisor.adopt()
            await self._submit(lambda forwarder, now: forwarder.lines.begin(now=now))
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _TAKEN)
            async with serving_names(self._config, self._dataplane, supervisor) as self._names:
                await self._serve_until_stopped(ledger, attendant)
        finally:
            signal.pthread_sigmask(signal.SIG_BLOCK, _TAKEN)
            with suppress(ControlError):  # the data plane has ended by itself
                await self._submit(lambda forwarder, now: forwarder.lines.shut_down(now=now))
            await asyncio.sleep(0)  # what was signalled last is handed over
            attendant.close_books()
            with suppress(ControlError):
                await books
            await supervisor.close()
            self._dataplane.stop()
            await ledger.close()
        ended.result()

    async def _serve_until_stopped(self, ledger: AsyncLedger, attendant: Attendant) -> None:
        names = {
            format_address(host.address): host.name
            for host in self._config.hosts
            if host.address is not None
        }
        api = ControlApi(
            self._dataplane, self._forwards, self._describe, names, ledger=ledger,
            events=self._events, wiretaps=self._wiretaps,
        )  # fmt: skip
        tasks = [
            asyncio.create_task(sweep_at_leisure(self._count_sessions)),
            asyncio.create_task(attendant.beat()),
        ]
        try:
            async with AsyncExitStack() as listeners:
                control = self._config.router.control
                await listeners.enter_async_context(listening(api.application(), control))
                if self._token is not None and self._config.router.control_tcp is not None:
                    with netns.inside(self._config.lan.netns):
                        at = open_on_lan(self._config.router.control_tcp)
                    lan = api.application(self._token)
                    await listeners.enter_async_context(listening(lan, at))
                _log.info("control API on %s", control)
                await self._stop.wait()
        finally:
            for task in tasks:
                task.cancel()

    def _hand_over(self, signals: Sequence[Signal]) -> None:
        """Take signals from the data-plane thread to the event loop's."""
        assert self._attendant is not None
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._attendant.take, signals)
        if self._names is not None:
            self._loop.call_soon_threadsafe(self._names.note, signals)

    def _report(self, report: Report) -> None:
        """Take a report of a backend to the data-plane thread."""
        self._dataplane.submit(lambda forwarder, now: forwarder.lines.report(report, now=now))

    async def _submit(self, job: Callable[[FarForwarder, float], _T]) -> _T:
        return await asyncio.wrap_future(self._dataplane.submit(job))

    async def _count_sessions(self) -> int:
        return await self._submit(lambda forwarder, _: forwarder.session_count)

    def _reload_soon(self) -> None:
        self._reloading = asyncio.ensure_future(self._reload())

    async def _reload(self) -> None:
        try:
            done = await self._forwards.reload(reset_affected=False)
        except ConfigError as error:
            for problem in error.problems:
                _log.error("%s", problem)
            _log.error("forward rules not reloaded, the former ones stay in force")
        else:
            self._events.publish("forwards", {"change": "reloaded", **done})
            _log.info("%d forward rules in force", done["forwards"])

    def _describe(self) -> dict[str, Any]:
        """Return what `status` tells besides counts and what the links say; times in seconds."""
        config = self._config
        return {
            "version": __version__,
            "pid": os.getpid(),
            "config": str(config.path),
            "uptime_s": time.monotonic() - self._started_at,
            "lan": {
                "address": str(config.lan.address),
                "device": config.lan.device,
                "tun": self._lan.name,
                "netns": config.lan.netns,
                "mtu": self._lan.mtu,
            },
            "links": [
                {
                    "name": link.name,
                    "backend": link.backend,
                    "device": link.device,
                    "tun": self._wan.name,
                    "netns": config.wan.netns,
                    "details": self._details(link.name),
                }
                for link in config.links
            ],
            "names": None if self._names is None else self._names.told(),
        }

    def _details(self, link: str) -> dict[str, Any] | None:
        assert self._supervisor is not None
        details = self._supervisor.details(link)
        return None if details is None else asdict(details)


def _warn(problems: Iterable[str]) -> None:
    for problem in problems:
        _log.warning("%s", problem)
