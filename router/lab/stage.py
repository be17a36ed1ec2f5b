"""What a step of the demonstration works with: it runs commands, and says what it saw.

A step is a function that takes a stage. It runs real programs in the lab's nodes, checks what
came of it, and ends early, by `StepError`, at the first thing that is not as it should be.
"""

import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum

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
            started.append(self._start(node, command))
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
        self.evidence.append((Finding.FACT, fact))

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

    def _start(self, node: str, command: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            build.command_in(self.lab, node, ("sh", "-c", command)),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )


def _explain(command: str, outcome: Outcome, expected: int) -> str:
    said = (outcome.output + outcome.errors).strip().splitlines()[-_OUTPUT_LINES:]
    sentence = f"{command} ended with exit code {outcome.code} instead of {expected}"
    return "\n".join([sentence, *said])
