"""The configuration file: TOML in, a frozen configuration or every problem at once out.

`values` reads single values, `schema` has the sections, `problems` words what does not fit them,
`addresses` and `checks` hold the sections against each other, `config` is the result.
"""

from router.config.config import Config, load, parse
from router.config.schema import HostSection, LanSection, RouterSection, StaticLink, WanSection
from router.config.values import InterfaceAddress

__all__ = [
    "Config",
    "HostSection",
    "InterfaceAddress",
    "LanSection",
    "RouterSection",
    "StaticLink",
    "WanSection",
    "load",
    "parse",
]
