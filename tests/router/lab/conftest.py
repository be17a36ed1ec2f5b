from collections.abc import Iterator

import pytest

from tests.lab.box import Box, a_box


@pytest.fixture
def box() -> Iterator[Box]:
    """Namespaces to start things in."""
    with a_box() as box:
        yield box
