"""The router: everything brought up in order, kept running, and taken down again.

Theory of operation. Up: the instance lock, what a killed predecessor left, devices and routes,
the forwarder with the line up, the data-plane thread, the control socket. Down: the same
backwards, whatever the reason. Devices and routes are arranged before the event loop starts and
undone after it has ended, because netlink calls block.

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
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from router import __version__
from router.config import Config
from router.daemon.forwards import RunningForwards
from router.daemon.garbage import collect_young_only, sweep_at_leisure
from router.daemon.sides import lan_side, wan_side
from router.devices import Tun
from router.errors import ConfigError, DeviceError
from router.forwarder import Forwarder
from router.host.control.listener import listening
from router.host.control.server import ControlApi
from router.host.dataplane.loop import DataPlane
from router.host.machine.journal import Journal
from router.host.machine.lock import instance_lock
from router.host.machine.plumbing import Plumbing
from router.wire.address import format_address

__all__ = ["run"]

# Seconds a thread may keep the interpreter while another waits. At the default of 5 ms the
# control API's thread would hold up each system call of the data plane for that long.
SWITCH_INTERVAL_S = 0.0001

_ENDING = (signal.SIGTERM, signal.SIGINT)
_TAKEN = frozenset({*_ENDING, signal.SIGHUP})
_log = logging.getLogger(__name__)


def run(config: Config) -> None:
    """Be the router until a signal ends it.

    Raises DeviceError or ControlError when it cannot start or a device is lost; what was
    arranged on the machine has then been undone, too. The process must end after it: the
    signals that end it stay blocked.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, _TAKEN)
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    forwards = config.load_forwards()
    with instance_lock(config.router.state_dir):
        plumbing = Plumbing(
            lan_side(config), wan_side(config), Journal(config.router.state_dir / "journal")
        )
        _warn(plumbing.undo())
        try:
            lan, wan = plumbing.apply()
            told = replace(config.forwarder_config(), lan_mtu=lan.mtu)
            forwarder = Forwarder(told, rng=random.SystemRandom(), forwards=forwards)
            asyncio.run(_Router(config, forwarder, lan, wan).serve())
        finally:
            left = plumbing.undo()
            _warn(left)
    if left:
        raise DeviceError("not everything on the machine could be put back; see the warnings above")
    _log.info("ended")


class _Router:
    """The router between arranging the machine and restoring it."""

    def __init__(self, config: Config, forwarder: Forwarder, lan: Tun, wan: Tun) -> None:
        self._config = config
        self._forwarder = forwarder
        self._lan = lan
        self._wan = wan
        self._started_at = time.monotonic()
        self._dataplane = DataPlane(forwarder, lan, wan)
        self._forwards = RunningForwards(self._dataplane, config)
        self._stop = asyncio.Event()

    async def serve(self) -> None:
        """Forward packets and answer requests until told to stop or a device is lost."""
        loop = asyncio.get_running_loop()
        for number in _ENDING:
            loop.add_signal_handler(number, self._stop.set)
        loop.add_signal_handler(signal.SIGHUP, self._reload_soon)
        ended = self._dataplane.ended
        ended.add_done_callback(lambda _: loop.call_soon_threadsafe(self._stop.set))
        names = {format_address(host.address): host.name for host in self._config.hosts}
        api = ControlApi(self._dataplane, self._forwards, self._describe, names)
        self._raise_line()
        collect_young_only()
        self._dataplane.start()  # before signals are let in: its thread never takes any
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _TAKEN)
        sweep = asyncio.create_task(sweep_at_leisure(self._count_sessions))
        try:
            async with listening(api.application(), self._config.router.control):
                _log.info("control API on %s", self._config.router.control)
                await self._stop.wait()
        finally:
            signal.pthread_sigmask(signal.SIG_BLOCK, _TAKEN)
            sweep.cancel()
            self._dataplane.stop()
        ended.result()

    async def _count_sessions(self) -> int:
        return await asyncio.wrap_future(
            self._dataplane.submit(lambda forwarder, _: forwarder.session_count)
        )

    def _raise_line(self) -> None:
        """Tell the forwarder about the line, which is up from the start."""
        for tun in (self._lan, self._wan):
            _log.info("%s ready", tun.name)
        (link,) = self._config.links
        address = link.address.address
        self._forwarder.line_up(address, self._wan.mtu, now=self._started_at)
        _log.info("line %s is up with %s", link.name, format_address(address))

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
            _log.info("%d forward rules in force", done["forwards"])

    def _describe(self) -> dict[str, Any]:
        """Return what `status` tells besides the counts; times in seconds."""
        config = self._config
        uptime_s = time.monotonic() - self._started_at
        (link,) = config.links
        return {
            "version": __version__,
            "pid": os.getpid(),
            "config": str(config.path),
            "uptime_s": uptime_s,
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
                    "state": "UP",
                    "since_s": uptime_s,
                    "reason": "a static line is always up",
                    "by": "configuration",
                    "address": format_address(link.address.address),
                    "device": link.device,
                    "tun": self._wan.name,
                    "netns": config.wan.netns,
                    "mtu": self._wan.mtu,
                }
            ],
        }


def _warn(problems: Iterable[str]) -> None:
    for problem in problems:
        _log.warning("%s", problem)
