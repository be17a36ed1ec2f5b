"""The journal of changes to the machine: what to undo at exit, or at the next start.

Theory of operation. One line of JSON for each change, appended before the change is applied; the
first line tells the boot and the namespace it belongs to. Undoing walks it backwards and then
removes it, so the end of a run and the start after a `kill -9` do the same thing. Undoing twice,
or what was never applied, does no harm: a journal found is simply undone. What the kernel would
not undo stays in it, for the next time, and so does the namespace a device could not leave.

It need not outlive the kernel, because what it describes does not: after a reboot it is thrown
away unread, and nothing waits for the disk. A last line cut short belongs to a change that was
not begun.
"""

import os
from pathlib import Path
from typing import Annotated, TypeAlias

from pydantic import Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from router.errors import DeviceError
from router.host.machine import netns
from router.host.machine.changes import ConflictError, Entry, Link, LostError, Namespace, Sysctl
from router.host.machine.nic import MovedNic

__all__ = ["Change", "Journal"]

Change: TypeAlias = Namespace | Sysctl | Link | Entry | MovedNic

_CHANGE: TypeAdapter[Change] = TypeAdapter(Annotated[Change, Field(discriminator="kind")])
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True)
class _Origin:
    boot: str
    home: str  # identity of the namespace called ""


_ORIGIN = TypeAdapter(_Origin)


class Journal:
    """The journal in one file; one program at a time may use it (`router.host.machine.lock`)."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def perform(self, change: Change) -> None:
        """Write the change down, then apply it, unless all is so already; raises DeviceError."""
        if isinstance(change, Entry) and change.is_settled():
            return
        self.note(change)
        try:
            change.apply()
        except ConflictError:
            self._strike_last()
            raise

    def note(self, change: Change) -> None:
        """Write the change down; raises DeviceError."""
        try:
            with self._path.open("ab") as file:
                if not file.tell():
                    file.write(_ORIGIN.dump_json(_origin()) + b"\n")
                file.write(_CHANGE.dump_json(change) + b"\n")
        except OSError as error:
            raise DeviceError(f"cannot write {self._path}: {error.strerror}") from error

    def _strike_last(self) -> None:
        lines = self._path.read_bytes().splitlines(keepends=True)
        os.truncate(self._path, sum(map(len, lines[:-1])))

    def undo(self) -> list[str]:
        """Undo what is written, last first, and forget it; return a sentence per failure.

        Raises DeviceError when it cannot be read or is about another network namespace.
        """
        problems: list[str] = []
        kept: list[Change] = []
        for change in reversed(self.changes()):
            if isinstance(change, Namespace) and _houses(change, kept):
                kept.append(change)
                continue
            try:
                change.undo()
            except LostError as error:
                problems.append(str(error))
            except DeviceError as error:
                problems.append(str(error))
                kept.append(change)
        self._keep(kept[::-1])
        return problems

    def changes(self) -> list[Change]:
        """Return the changes to undo, oldest first; those of an earlier boot are gone with it.

        Raises DeviceError as `undo` does.
        """
        try:
            first, *lines = self._path.read_bytes().splitlines(keepends=True)
            written = _ORIGIN.validate_json(first)
        except (FileNotFoundError, ValueError):  # no journal, or not even its first line
            return []
        except OSError as error:
            raise DeviceError(f"cannot read {self._path}: {error.strerror}") from error
        here = _origin()
        if written.boot != here.boot:
            return []
        if written != here:
            raise DeviceError(
                f"{self._path} is about another network namespace: start the router there to "
                "undo what it did, or remove the file if that namespace is gone"
            )
        whole = [line for line in lines if line.endswith(b"\n")]
        return [self._decode(number, line) for number, line in enumerate(whole, 2)]

    def _decode(self, number: int, line: bytes) -> Change:
        try:
            return _CHANGE.validate_json(line)
        except ValidationError as error:
            raise DeviceError(f"{self._path}:{number}: this is no change of a router's") from error

    def _keep(self, changes: list[Change]) -> None:
        """Have nothing but these changes in the file, and no file for none; raises DeviceError."""
        if not changes:
            self._path.unlink(missing_ok=True)
            return
        rest = Journal(self._path.with_suffix(".rest"))
        rest._path.unlink(missing_ok=True)
        for change in changes:
            rest.note(change)
        rest._path.replace(self._path)


def _houses(namespace: Namespace, kept: list[Change]) -> bool:
    return any(isinstance(one, MovedNic) and one.target == namespace.netns for one in kept)


def _origin() -> _Origin:
    return _Origin(boot=_BOOT_ID.read_text().strip(), home=netns.identity(""))
