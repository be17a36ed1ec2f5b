"""A chat held on a port: what the script sends is written, what the modem says is read to it.

What is sent never reaches the log; what the script tells people does.

A modem that never stops talking, or whatever else is behind a port, is read no faster than others
have their turn, and what is waited for has its time all the same.
"""

import asyncio
import logging
import os
from collections.abc import Callable

from router.chat.machine import Break, Chat, Done, Failed, Say, Send
from router.host.lines.backend import DialError
from router.host.ppp.port import Port

__all__ = ["converse"]

STUCK_S = 10.0  # seconds for a modem to take what is sent: a command is at most some hundred octets

_READ = 4096  # octets: a modem says a line at a time
_log = logging.getLogger(__name__)


async def converse(chat: Chat, port: Port) -> Done:
    """Hold a chat; return its end. Raises DialError."""
    loop = asyncio.get_running_loop()
    chat.start(loop.time())
    while True:
        done = await _carry_out(chat, port)
        if done is not None:
            return done
        try:
            heard = await _hear(port.descriptor, chat.next_deadline())
        except TimeoutError:
            chat.handle_timer(loop.time())
            continue
        if heard:
            chat.receive(heard, loop.time())
            chat.handle_timer(loop.time())
            await asyncio.sleep(0)
            continue
        chat.carrier_lost(loop.time())
        await _carry_out(chat, port)
        # Nothing can come any more from what is closed, whatever the script says about it.
        raise DialError(f"{port.name} has hung up")


async def _carry_out(chat: Chat, port: Port) -> Done | None:
    """Do what the chat wants done; return its end if that was it."""
    for effect in chat.take_effects():
        match effect:
            case Send(octets):
                await _say(port, octets)
            case Break():
                await port.send_break()
            case Say(text):
                _log.info("%s: %s", port.name, text)
            case Done():
                for report in effect.reports:
                    _log.info("%s: %s", port.name, report)
                return effect
            case Failed(why):
                raise DialError(why)
    return None


async def _hear(descriptor: int, until: float | None) -> bytes:
    """Return what has come, nothing at the end; raises TimeoutError."""
    loop = asyncio.get_running_loop()
    while True:
        try:
            return os.read(descriptor, _READ)
        except BlockingIOError:
            await _until(descriptor, loop.add_reader, loop.remove_reader, until)
        except OSError:
            return b""


async def _say(port: Port, octets: bytes) -> None:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + STUCK_S
    while octets:
        try:
            octets = octets[os.write(port.descriptor, octets) :]
        except BlockingIOError:
            try:
                await _until(port.descriptor, loop.add_writer, loop.remove_writer, deadline)
            except TimeoutError:
                raise DialError(f"{port.name} takes nothing: is a modem there, and on?") from None
        except OSError:
            return  # it has hung up, which the next read says, after what was said before


async def _until(
    descriptor: int,
    add: Callable[[int, Callable[[], None]], None],
    remove: Callable[[int], bool],
    deadline: float | None,
) -> None:
    """Wait until the descriptor is ready; raises TimeoutError."""
    ready = asyncio.Event()
    add(descriptor, ready.set)
    try:
        async with asyncio.timeout_at(deadline):
            await ready.wait()
    finally:
        remove(descriptor)
