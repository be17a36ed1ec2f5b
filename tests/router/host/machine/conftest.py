from collections.abc import Iterator
from pathlib import Path

import pytest

from router.host.machine import netns
from router.host.machine.journal import Journal
from tests.lab.box import Box, a_box


@pytest.fixture
def box() -> Iterator[Box]:
    """A machine to plumb; the test's thread is in its namespace, as the router's would be."""
    with a_box() as box, netns.inside(box.box):
        yield box


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "journal")
