"""How the configuration tests ask what is wrong with a file."""

from collections.abc import Callable
from pathlib import Path

import pytest

from router.config import parse
from router.errors import ConfigError


@pytest.fixture
def problems() -> Callable[[str], list[str]]:
    """Return what tells the problems of a file without the file's name."""

    def tell(text: str) -> list[str]:
        with pytest.raises(ConfigError) as caught:
            parse(text, Path("etc/router.toml"))
        assert all(each.startswith("etc/router.toml:") for each in caught.value.problems)
        return [each.removeprefix("etc/router.toml:").lstrip() for each in caught.value.problems]

    return tell
