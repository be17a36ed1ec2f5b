from collections.abc import Iterator

import pytest

from router.host.machine import netns
from tests.lab.box import Box, a_box


@pytest.fixture
def box() -> Iterator[Box]:
    """A machine with cards; the test's thread is in its namespace, as the router's would be."""
    with a_box() as box, netns.inside(box.box):
        yield box
