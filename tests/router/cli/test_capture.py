import threading
from pathlib import Path

from scapy.layers.inet import UDP
from scapy.utils import PcapReader

from tests.router.cli.conftest import RunningRouter

OUT = "udp 192.168.1.10:4000 -> 198.51.100.7:53"


def test_both_sides_of_the_translation_are_written(running: RunningRouter, tmp_path: Path) -> None:
    path = tmp_path / "out.pcapng"
    sender = Repeating(running)
    with sender:
        done = running.command("capture", "both", "-w", str(path), "--count", "4")
    assert (done.exit_code, done.stderr) == (0, "4 packets captured, 0 left out\n")
    with PcapReader(str(path)) as reader:
        seen = {
            (frame.sniffed_on, frame.direction, frame.src, frame[UDP].sport) for frame in reader
        }
    assert seen == {("lan0", 1, "192.168.1.10", 4000), ("wan0", 2, "203.0.113.2", 4000)}
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_file_that_cannot_be_written(running: RunningRouter, tmp_path: Path) -> None:
    done = running.command("capture", "lan", "-w", str(tmp_path / "no" / "file"))
    assert done.exit_code == 1
    assert "cannot write" in done.stderr
    assert "No such file or directory" in done.stderr


class Repeating:
    """Sends a packet again and again, because a capture begins when it begins."""

    def __init__(self, running: RunningRouter) -> None:
        self._running = running
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._send)

    def _send(self) -> None:
        while not self._done.wait(0.01):
            self._running.outbound(OUT)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()
