"""Watching one device: its carrier and address, without asking again and again.

Theory of operation. A netlink socket of the namespace hears that something has changed, never
mind what: links, IPv4 addresses and routes. Then the device is looked at (`machine.sight`). So no
message needs to be understood, and one that was lost because too many came at once is as good as
any other. A look takes some milliseconds and blocks, so it has a thread.
"""

import asyncio
import errno
import socket
from collections.abc import Callable
from contextlib import suppress

from router.host.machine import netns as namespaces
from router.host.machine.sight import Sight, see

__all__ = ["DeviceWatch"]

_RTMGRP_LINK, _RTMGRP_IPV4_IFADDR, _RTMGRP_IPV4_ROUTE = 0x1, 0x10, 0x40  # linux/rtnetlink.h
_GROUPS = _RTMGRP_LINK | _RTMGRP_IPV4_IFADDR | _RTMGRP_IPV4_ROUTE
_MESSAGES = 65536  # bytes read at once and thrown away


class DeviceWatch:
    """One device of a namespace, for one task at a time; made where an event loop runs.

    The namespace may not exist yet, or go and come again: it is entered when a watch begins.
    """

    def __init__(self, netns: str, device: str) -> None:
        self._netns = netns
        self._device = device
        self._something = asyncio.Event()
        self._socket: socket.socket | None = None

    async def look(self, known: int | None = None) -> Sight:
        """Return the device as it is, its address so far being `known`; raises DeviceError."""
        return await asyncio.to_thread(see, self._netns, self._device, known)

    async def until(self, holds: Callable[[Sight], bool], known: int | None = None) -> Sight:
        """Wait until `holds` is true of the device, and return it as it is then.

        Raises DeviceError when the namespace cannot be entered.
        """
        self._listen()
        try:
            while True:
                self._something.clear()
                sight = await self.look(known)
                if holds(sight):
                    return sight
                await self._something.wait()
        finally:
            self.close()

    def close(self) -> None:
        """Stop listening."""
        if self._socket is not None:
            asyncio.get_running_loop().remove_reader(self._socket)
            self._socket.close()
            self._socket = None

    def _listen(self) -> None:
        with namespaces.inside(self._netns):
            kind = socket.SOCK_RAW | socket.SOCK_NONBLOCK
            self._socket = socket.socket(socket.AF_NETLINK, kind, socket.NETLINK_ROUTE)
        self._socket.bind((0, _GROUPS))
        asyncio.get_running_loop().add_reader(self._socket, self._hear)

    def _hear(self) -> None:
        assert self._socket is not None
        with suppress(BlockingIOError):
            while True:
                self._throw_away(self._socket)
        self._something.set()

    def _throw_away(self, listening: socket.socket) -> None:
        try:
            listening.recv(_MESSAGES)
        except OSError as error:
            if error.errno != errno.ENOBUFS:  # some were lost
                raise
