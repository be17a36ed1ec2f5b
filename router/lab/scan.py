"""A port scan, as strangers make them: `python -m router.lab.scan FROM TO`.

Every TCP port up to 1023 is asked whether it is open, round and round until SIGTERM; then it says
how many were asked. The scan is half-open without raw sockets: should an answer come before the
socket is closed, the kernel keeps the acknowledgement back for a moment, and then resets.
"""

import signal
import socket
import struct
import sys
from itertools import cycle
from threading import Event

__all__ = ["scan"]

_PORTS = range(1, 1024)
_RESET = struct.pack("ii", 1, 0)  # on, for no time: closing resets (socket(7))
_PAUSE_S = 0.005  # between two ports: brisk for a scan over a line, little for a router


def scan(source: str, target: str, stop: Event) -> int:
    """Scan from one address to another until told to stop; return how many ports were asked."""
    ports = cycle(_PORTS)
    asked = 0
    while not stop.wait(_PAUSE_S):
        asked += _ask(source, target, next(ports))
    return asked


def _ask(source: str, target: str, port: int) -> bool:
    """Return whether the question is on its way; without a line it is not."""
    with socket.socket() as probe:
        probe.setblocking(False)
        probe.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 0)  # no ACK of a SYN-ACK yet
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        probe.bind((source, 0))
        try:
            probe.connect((target, port))
        except BlockingIOError:
            return True
        except OSError:
            return False
    return True


if __name__ == "__main__":
    ended = Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    print(scan(sys.argv[1], sys.argv[2], ended))
