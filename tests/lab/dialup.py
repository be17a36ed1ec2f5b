"""A site whose line is PPP, spoken by its router: a modem with a provider behind, or odder peers.

    alice 192.168.1.11, bob .12, mail .10 -- LAN -- [postroad run] -- modem -- 203.0.113.1 internet
                                                                   198.51.100.10, 198.51.100.20

The provider is the lab's (`python -m router.lab.isp`) in the Internet's namespace, with a modem in
the site's directory. It is looked at by what it says, the router by its control API, its commands
and its log, and the line by what is on the provider's device. Other lines have no provider.
"""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from subprocess import DEVNULL, Popen
from typing import IO, Any, NamedTuple

from router.lab.files import CHAT
from router.lab.provider import MODEM, Provider
from tests.lab.site import OTHER_SERVER, POSTROAD, ROUTER, SERVER, Site, eventually

USER, PASSWORD = "anna", "hush-lantern-4711"
NUMBER, OTHER_NUMBER = "5550123", "5550199"
WWW = "www.example.test"
MODEM_LINE = f"./{MODEM}"

_CONFIG = """
[router]
state_dir = "state"
control = "control.sock"
forward_rules = "forward.rules"
[lan]
address = "192.168.1.1/24"
device = "eth1"
dns = true
[wan]
netns = "{wan}"
[[link]]
name = "isp"
backend = "ppp"
line = "{line}"
user = "{user}"
password_file = "isp.password"
{link}
{more}
"""
_HOSTS = """
[[host]]
address = "192.168.1.11"
name = "alice"
"""
DIALS = f'chat = "isp.chat"\nnumber = "{NUMBER}"\n'


class Said(NamedTuple):
    """What the provider has said: when (seconds since the epoch), of what, and what."""

    at: float
    what: str
    said: str


class DialUp(Site):
    """A site with a PPP line; `link` are keys of its section, `line` is what it is on."""

    def __init__(
        self, directory: Path, *, line: str = MODEM_LINE, link: str = DIALS, rules: str = "",
        more: str = _HOSTS, wan: str = "modem",
    ) -> None:  # fmt: skip
        self._line, self.link = line, link
        self._isp: Popen[str] | None = None
        super().__init__(directory, wan=wan, rules=rules, dialled="", more=more)

    def _inside(self, node: str) -> tuple[str, str]:
        # Not by `ip netns exec`; see `Site.start`.
        return "nsenter", f"--net=/run/netns/{self.namespace(node)}"

    # Files

    def configure(self, *, nat: str = "", rules: str = "") -> None:
        """Write the router's files, for its next start."""
        del nat  # as it comes
        self.tell_password(PASSWORD)
        (self.directory / "isp.chat").write_text(CHAT)
        (self.directory / "forward.rules").write_text(rules)
        self.config.write_text(
            _CONFIG.format(
                wan=self.namespace("wan"), line=self._line, user=USER, link=self.link,
                more=self.more,
            )
        )  # fmt: skip

    def tell_password(self, password: str) -> None:
        """Have the router log in with this."""
        file = self.directory / "isp.password"
        file.touch(0o600)
        file.write_text(f"{password}\n")

    @property
    def config(self) -> Path:
        return self.directory / "router.toml"

    # The provider

    @property
    def _provider_file(self) -> Path:
        return self.directory / "provider.json"

    def open_isp(self, **ways: Any) -> None:
        """Have a provider, and a modem to call it with."""
        defaults: dict[str, Any] = {"dial_s": 0.3, "users": {USER: PASSWORD}, "numbers": (NUMBER,)}
        Provider(self.namespace("internet"), **defaults | ways).save(self._provider_file)
        inside = self._inside("internet")
        command = (*inside, sys.executable, "-P", "-m", "router.lab.isp", str(self._provider_file))
        with (self.directory / "isp.log").open("a") as log:
            self._isp = Popen(command, stdout=log, stderr=log, text=True)
        self._processes.append(self._isp)
        eventually((self.directory / MODEM).exists, "a modem")

    def change_isp(self, **ways: Any) -> None:
        """Have the provider's ways change, for the next call."""
        replace(Provider.load(self._provider_file), **ways).save(self._provider_file)

    def signal_isp(self, number: signal.Signals) -> None:
        assert self._isp is not None
        self._isp.send_signal(number)

    def heard(self, what: str) -> list[Said]:
        """All that was said so far with the `modem`, or of a `session`."""
        lines = (self.directory / "isp.log").read_text().splitlines()
        parts = [line.split(" ", 2) for line in lines if line.count(" ") > 1]
        return [
            Said(datetime.fromisoformat(at).timestamp(), of, said)
            for at, of, said in parts
            if of == what
        ]

    def dials(self) -> list[tuple[float, str]]:
        """When the modem was told to dial so far, and what number."""
        told = self.heard("modem")
        return [
            (each.at, each.said.removeprefix("> ATDT"))
            for each in told
            if each.said.startswith("> ATDT")
        ]

    # The router

    def await_state(self, wanted: str, seconds: float = 20.0) -> None:
        eventually(
            lambda: self.line["state"] == wanted, f"{wanted} (it is {self.line['state']})", seconds
        )

    def up(self) -> None:
        """Raise the line by hand."""
        self.control("links/isp/up", "-d", "{}")

    def down(self) -> None:
        """Take the line down by hand."""
        self.control("links/isp/down", "-d", "{}")

    def postroad(self, command: str, *arguments: str) -> str:
        """What a command for people says."""
        whole = (*self._inside("box"), *POSTROAD, command, "-c", str(self.config), *arguments)
        done = subprocess.run(whole, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def why(self) -> list[dict[str, Any]]:
        """The ledger as `postroad why --json` tells it, the newest first."""
        found: list[dict[str, Any]] = json.loads(self.postroad("why", "--json"))["entries"]
        return found

    def ended(self, number: int = 1, seconds: float = 30.0) -> list[dict[str, Any]]:
        """The first so many attempts and rises, all of which have ended, the newest first."""

        def over() -> bool:
            entries = self.control("ledger")["entries"]
            return sum(1 for entry in entries if entry["ending"]) >= number

        eventually(over, f"the end of {number} attempts", seconds)
        return self.why()[-number:]

    def begin(self, command: str, *arguments: str, output: IO[str] | None = None) -> Popen[str]:
        """Start a command for people that runs until it is interrupted."""
        whole = (*self._inside("box"), *POSTROAD, command, "-c", str(self.config), *arguments)
        process = Popen(whole, stdout=output or DEVNULL, stderr=DEVNULL, text=True)
        self._processes.append(process)
        return process

    # Names and pages

    def serve_names(self) -> None:
        """Have a name server and pages at the other end, and the router asked for names here."""
        self.serve_web("internet", SERVER)
        self.serve(
            "internet", "dnsmasq", "-k", "--conf-file=/dev/null", "--no-resolv", "--no-hosts",
            "--bind-interfaces", f"--listen-address={OTHER_SERVER}", "--pid-file=", "--user=root",
            f"--host-record={WWW},{SERVER}", ready=f"{OTHER_SERVER}:53",
        )  # fmt: skip
        (self.directory / "resolv.conf").write_text(f"nameserver {ROUTER}\n")
        (self.directory / "nsswitch.conf").write_text("hosts: files dns\n")

    def curl(self, node: str, url: str = f"http://{WWW}/who") -> str:
        """What one request comes to; names are asked of the router."""
        mounts = " && ".join(
            f"mount --bind {self.directory}/{name} /etc/{name}"
            for name in ("resolv.conf", "nsswitch.conf")
        )
        return self.ask(node, "sh", "-c", f'{mounts} && exec curl -sS -m 30 "$0"', url)

    # Secrets

    def told(self, secret: str) -> list[str]:
        """Where a secret is to be read that it should not be: logs, events, process lists."""
        places = {
            path.name: path.read_bytes()
            for path in self.directory.iterdir()
            if path.suffix in (".log", ".pcapng") or path.name == "events"
        }
        for process in Path("/proc").glob("[0-9]*"):
            try:
                places[f"{process}/cmdline"] = (process / "cmdline").read_bytes()
            except OSError:
                continue  # it has ended
        return [name for name, text in places.items() if secret.encode() in text]


@contextmanager
def a_dialup(directory: Path, **options: Any) -> Iterator[DialUp]:
    """Build a site with a PPP line, without router and provider, and take it down again."""
    site = DialUp(directory, **options)
    try:
        site.build()
        yield site
    finally:
        site.remove()
