"""The journal of changes to the machine: what to undo at exit, or at the next start.

Theory of operation. One line of JSON for each change, appended before the change is applied; the
first line tells the boot and the namespace it belongs to. Undoing walks it backwards and then
removes it, so the end of a run and the start after a `kill -9` do the same thing. Undoing twice,
or what was never applied, does no harm: a journal found is simply undone. What the kernel would
not undo stays in it, for the next time, and so does the namespace a device could not leave.

Changes that come and go together, as those of one rise of a line, share a *group*, which can be
undone by itself. The lines left are then written to another file that takes the place of this
one in a single step: whoever is killed before it finds all of them and undoes some twice. Groups
must not depend on each other: no two of them change the same thing, and what they all need
belongs to the group "", which is there first and undone last.

It need not outlive the kernel, because what it describes does not: after a reboot it is thrown
away unread, and nothing waits for the disk. A last line cut short belongs to a change that was
not begun.
"""

import errno
import os
from collections.abc import Callable, Iterable
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

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True)
class _Origin:
    boot: str
    home: str  # identity of the namespace called ""


@dataclass(frozen=True)
class _Line:
    change: Annotated[Change, Field(discriminator="kind")]
    group: str = ""


_ORIGIN = TypeAdapter(_Origin)
_LINE = TypeAdapter(_Line)


class Journal:
    """The journal in one file; one program at a time may use it (`router.host.machine.lock`)."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def perform(self, change: Change, group: str = "") -> None:
        """Write the change down, then apply it, unless all is so already; raises DeviceError."""
        if isinstance(change, Entry) and change.is_settled():
            return
        self.note(change, group)
        try:
            change.apply()
        except ConflictError:
            self._strike_last()
            raise

    def note(self, change: Change, group: str = "") -> None:
        """Write the change down; raises DeviceError."""
        self._append([_Line(change, group)])

    def _append(self, lines: Iterable[_Line]) -> None:
        """Write whole lines or none, so that the next ones do not join a part of one."""
        try:
            with self._path.open("ab", buffering=0) as file:
                size = file.tell()
                whole = [] if size else [_ORIGIN.dump_json(_origin())]
                whole += map(_LINE.dump_json, lines)
                text = b"".join(line + b"\n" for line in whole)
                if file.write(text) < len(text):
                    file.truncate(size)
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as error:
            raise DeviceError(f"cannot write {self._path}: {error.strerror}") from error

    def _strike_last(self) -> None:
        lines = self._path.read_bytes().splitlines(keepends=True)
        os.truncate(self._path, sum(map(len, lines[:-1])))

    def undo(self, spared: Callable[[Change], bool] = lambda _: False) -> list[str]:
        """Undo what is written, last first, and forget it; return a sentence per failure.

        What is `spared` stays as it is, and written down. Raises DeviceError when the journal
        cannot be read or is about another network namespace.
        """
        return self._undo(lambda line: not spared(line.change))

    def undo_group(self, group: str) -> list[str]:
        """Undo and forget the changes of one group, as `undo` does with all."""
        return self._undo(lambda line: line.group == group)

    def _undo(self, is_meant: Callable[[_Line], bool]) -> list[str]:
        problems: list[str] = []
        kept: list[_Line] = []
        for line in reversed(self._lines()):
            if not is_meant(line) or _houses(line.change, kept):
                kept.append(line)
                continue
            try:
                line.change.undo()
            except LostError as error:
                problems.append(str(error))
            except DeviceError as error:
                problems.append(str(error))
                kept.append(line)
        self._keep(kept[::-1])
        return problems

    def changes(self) -> list[Change]:
        """Return the changes to undo, oldest first; those of an earlier boot are gone with it.

        Raises DeviceError as `undo` does.
        """
        return [line.change for line in self._lines()]

    def _lines(self) -> list[_Line]:
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

    def _decode(self, number: int, line: bytes) -> _Line:
        try:
            return _LINE.validate_json(line)
        except ValidationError as error:
            raise DeviceError(f"{self._path}:{number}: this is no change of a router's") from error

    def _keep(self, lines: list[_Line]) -> None:
        """Have nothing but these lines in the file, and no file for none; raises DeviceError."""
        if not lines:
            self._path.unlink(missing_ok=True)
            return
        rest = Journal(self._path.with_suffix(".rest"))
        rest._path.unlink(missing_ok=True)
        rest._append(lines)
        rest._path.replace(self._path)


def _houses(change: Change, kept: list[_Line]) -> bool:
    """Return whether the change is the namespace of a device that has been kept there."""
    return isinstance(change, Namespace) and any(
        isinstance(line.change, MovedNic) and line.change.target == change.netns for line in kept
    )


def _origin() -> _Origin:
    return _Origin(boot=_BOOT_ID.read_text().strip(), home=netns.identity(""))
