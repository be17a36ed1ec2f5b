"""The configuration file: TOML in, a frozen configuration or every problem at once out.

`readers` and the kinds in `values`, `linevalues`, `hours` and `zones` read single values. `schema`,
`links` and `demand` have the sections, `problems` words what does not fit them. `addresses`,
`linechecks`, `namechecks` and `checks` hold the sections against each other, `pppfiles` and
`places` against the machine, `config` is the result.
"""

from router.config.config import Config, load, parse
from router.config.demand import HostSection
from router.config.links import AnyLink, AskedLink, CommandLink, DialledLink, PppLink, StaticLink
from router.config.schema import DhcpSection, LanSection, RouterSection, WanSection
from router.config.values import InterfaceAddress

__all__ = [
    "AnyLink",
    "AskedLink",
    "CommandLink",
    "Config",
    "DhcpSection",
    "DialledLink",
    "HostSection",
    "InterfaceAddress",
    "LanSection",
    "PppLink",
    "RouterSection",
    "StaticLink",
    "WanSection",
    "load",
    "parse",
]
