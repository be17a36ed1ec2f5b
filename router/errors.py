"""The one exception tree.

Packets never raise: malformed input is a verdict and a counter. Exceptions are for what a
person or the operating system got wrong, and each carries one plain sentence.
"""

from collections.abc import Sequence

__all__ = ["ConfigError", "ControlError", "DeviceError", "RouterError"]


class RouterError(Exception):
    """Base of everything this program raises on purpose; the CLI prints it and exits 1."""


class ConfigError(RouterError):
    """A configuration or rule file is wrong; the CLI prints every problem and exits 2.

    `problems` holds one sentence per mistake, each naming its file and its line or key.
    """

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


class DeviceError(RouterError):
    """The operating system refused something: a device, a namespace, a privilege."""


class ControlError(RouterError):
    """The running router could not be reached or refused a request."""
