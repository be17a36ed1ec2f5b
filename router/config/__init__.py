"""The configuration file: TOML in, a frozen configuration or every problem at once out.

`readers` and the kinds in `values`, `linevalues`, `hours` and `zones` read single values. `schema`,
`links` and `demand` have the sections, `problems` words what does not fit them. `addresses`,
`linechecks` and `checks` hold the sections against each other, `config` is the result.
"""

from router.config.config import Config, load, parse
from router.config.demand import HostSection
from router.config.links import CommandLink, StaticLink
from router.config.schema import LanSection, RouterSection, WanSection
from router.config.values import InterfaceAddress

__all__ = [
    "CommandLink",
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
