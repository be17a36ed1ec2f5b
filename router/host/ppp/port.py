"""A port: a way for octets in and out, opened and closed, such as a serial port with its modem.

    port = TtyPort(Path("/dev/ttyS1"), 115200)
    await port.open()                     # DialError: missing, busy, not allowed
    os.read(port.descriptor, ...)         # a chat with a modem
    port.heed_carrier()
    os.write(port.descriptor, ...)        # frames
    await port.close()                    # hangs up

The descriptor does not block. Its end, or an error of a read, is the loss of the carrier; what an
error of a write means, the next read says. `router.host.ppp.stream` makes a line of a port.
"""

from typing import Protocol

__all__ = ["Port"]


class Port(Protocol):
    """One port, used from one event loop; it may be opened again after it was closed."""

    @property
    def name(self) -> str:
        """Return what people call it."""
        ...

    @property
    def descriptor(self) -> int:
        """Return the descriptor of the port, which is open."""
        ...

    async def open(self) -> None:
        """Open it; broken off or failed, nothing is open.

        Raises `router.host.lines.backend.DialError`, whose clause names the port.
        """
        ...

    def heed_carrier(self) -> None:
        """Have the loss of a carrier end what can be read, now that there ought to be one."""
        ...

    async def send_break(self) -> None:
        """Send a break where the port knows such a thing."""
        ...

    async def close(self) -> None:
        """Hang up and let go; bounded, raises nothing, and a closed port is left alone."""
        ...
