"""What a step of the demonstration works with: it runs commands, and says what it saw.

A step is a function that takes a stage. It runs real programs in the lab's nodes, checks what
came of it, and ends early, by `StepError`, at the first thing that is not as it should be.
"""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from router.errors import RouterError
from router.host.control.client import ControlClient
from router.lab import build, eventlog
from router.lab.eventlog import Event
from router.lab.registry import Lab

__all__ = ["Finding", "Outcome", "Stage", "StepError"]

_LIMIT_S = 60.0  # for any command; the slowest takes a few seconds
_NOTED_WITHIN_S = 10.0  # milliseconds on a machine at leisure
_POLL_S = 0.05
_OUTPUT_LINES = 8  # of a failed command, to show


class StepError(Exception):
    """Something was not as it should be; one sentence, then what the command said."""


class Finding(Enum):
    """What a line of evidence is: a command that was run, or something found to be so."""

    COMMAND = "command"
    FACT = "fact"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a command did: its exit code, its output, its standard error."""

    code: int
    output: str
    errors: str


@dataclass
class Stage:
    """A lab, and the evidence a step has gathered in it, in order."""

    lab: Lab
    evidence: list[tuple[Finding, str]] = field(default_factory=list)

    def run(self, node: str, command: str, *, fed: str = "", expect: int = 0) -> Outcome:
        """Run a shell command on a node; raises StepError unless its exit code is `expect`."""
        return self.run_together((node,), command, fed=fed, expect=expect)[0]

    def run_together(
        self, nodes: Sequence[str], command: str, *, fed: str = "", expect: int = 0
    ) -> list[Outcome]:
        """Run one command on several nodes at the same time, and wait for all."""
        started = []
        for node in nodes:
            self.evidence.append((Finding.COMMAND, f"{node}$ {command}"))
            started.append(self._start(node, ("sh", "-c", command)))
        outcomes = []
        deadline = time.monotonic() + _LIMIT_S
        try:
            for one in started:
                output, errors = one.communicate(fed, timeout=deadline - time.monotonic())
                outcomes.append(Outcome(one.returncode, output, errors))
        except subprocess.TimeoutExpired:
            raise StepError(f"{command} did not end within {_LIMIT_S:.0f} s") from None
        finally:
            for one in started:
                one.kill()
                one.communicate()
        for outcome in outcomes:
            if outcome.code != expect:
                raise StepError(_explain(command, outcome, expect))
        return outcomes

    def check(self, holds: bool, fact: str) -> None:
        """Note a fact that holds; raises StepError when it does not."""
        if not holds:
            raise StepError(f"it is not so that {fact}")
        self.tell(fact)

    def tell(self, fact: str) -> None:
        """Note a fact."""
        self.evidence.append((Finding.FACT, fact))

    def provider_said(self, what: str) -> list[str]:
        """Return what the provider has written down about this so far."""
        lines = (line.split(" ", 2) for line in self.lab.log("isp").read_text().splitlines())
        return [line[2] for line in lines if line[1:2] == [what]]

    def events(self, role: str, what: str) -> list[Event]:
        """Return what a server has logged whose description starts with `what`."""
        return [one for one in eventlog.events(self.lab.log(role)) if one.what.startswith(what)]

    def await_events(self, role: str, what: str, count: int) -> list[Event]:
        """Return `events` as soon as there are `count`; raises StepError when they do not come.

        A server notes the end of an answer when its client may already have gone on.
        """
        deadline = time.monotonic() + _NOTED_WITHIN_S
        while len(found := self.events(role, what)) < count:
            if time.monotonic() > deadline:
                raise StepError(f"{role} has noted {what!r} {len(found)} times and not {count}")
            time.sleep(_POLL_S)
        return found

    def ask(
        self, method: str, resource: str, body: Mapping[str, object] | None = None
    ) -> dict[str, Any]:
        """Ask the router's control API, as programs do; raises StepError when it refuses."""
        words = [method, f"/v1/{resource}", *([json.dumps(body)] if body else [])]
        self.evidence.append((Finding.COMMAND, f"control API: {' '.join(words)}"))
        try:
            return asyncio.run(self._router.ask(method, resource, body=body))
        except RouterError as error:
            raise StepError(f"the router refuses: {error}") from None

    def postroad(self, command: str) -> None:
        """Run a command of postroad's and note what it says; raises StepError when it fails."""
        self.evidence.append((Finding.COMMAND, f"postroad {command}"))
        line = [*build.POSTROAD, *command.split(), "-c", str(self.lab.config)]
        done = subprocess.run(line, check=False, capture_output=True, text=True, timeout=_LIMIT_S)
        if done.returncode:
            outcome = Outcome(done.returncode, done.stdout, done.stderr)
            raise StepError(_explain(f"postroad {command}", outcome, 0))
        said = (text.rstrip() for text in done.stdout.splitlines())
        self.evidence += [(Finding.FACT, text) for text in said if text]

    def link(self) -> dict[str, Any]:
        """Return the router's link, as its status has it."""
        (found,) = self._router.get("status")["links"]
        return dict(found)

    @property
    def address(self) -> str:
        """The address the line has now; raises StepError when it is down."""
        address = self.link()["address"]
        if not address:
            raise StepError("the line is down")
        return str(address)

    def rises(self) -> list[dict[str, Any]]:
        """Return what the router's ledger has, the newest first."""
        return self._router.ledger()

    def await_rise(
        self, number: int, key: str, within_s: float = _NOTED_WITHIN_S
    ) -> dict[str, Any]:
        """Return what the ledger has of the rise of this number, from 1, once it has this.

        Raises StepError when there is no such rise, or it does not get there in time.
        """
        deadline = time.monotonic() + within_s
        while len(found := self.rises()) < number or not found[-number][key]:
            if time.monotonic() > deadline:
                raise StepError(f"of rise {number} of the line the ledger has no {key}")
            time.sleep(_POLL_S)
        return found[-number]

    @contextmanager
    def meanwhile(self, node: str, module: str, *arguments: str) -> Iterator[Callable[[], str]]:
        """Run a module of the lab's on a node while the block runs.

        The block is given what ends it, by SIGTERM, and returns what it has said.
        """
        words = ("-m", module, *arguments)
        self.evidence.append((Finding.COMMAND, f"{node}$ python {' '.join(words)} &"))
        started = self._start(node, (sys.executable, "-P", *words))

        def end() -> str:
            started.terminate()
            return started.communicate(timeout=_LIMIT_S)[0].strip()

        try:
            yield end
        finally:
            started.kill()
            started.communicate()

    @property
    def _router(self) -> ControlClient:
        return ControlClient(self.lab.control)

    def _start(self, node: str, command: Sequence[str]) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            build.command_in(self.lab, node, command),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )


def _explain(command: str, outcome: Outcome, expected: int) -> str:
    said = (outcome.output + outcome.errors).strip().splitlines()[-_OUTPUT_LINES:]
    sentence = f"{command} ended with exit code {outcome.code} instead of {expected}"
    return "\n".join([sentence, *said])
