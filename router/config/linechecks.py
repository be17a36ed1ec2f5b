"""What lines must be to each other, and what a file says about them without effect.

Problems and warnings are `KEY: SENTENCE`, as in `checks`.
"""

from collections.abc import Iterator, Sequence

from router.config.demand import AllowanceSection, PolicySection
from router.config.links import DialledLink, LinkSection, PppLink
from router.config.media import Ethernet, Program, Serial
from router.config.problems import key_path
from router.config.schema import RouterFile
from router.link.types import Mode

__all__ = ["line_problems", "line_warnings"]


def line_problems(links: Sequence[LinkSection]) -> Iterator[str]:
    """Yield what is wrong with the lines beside each other."""
    for index, link in enumerate(links):
        if (link.device is None) != (links[0].device is None):
            yield (
                f"{key_path('link', index, 'device')}: either every link has a device or none;"
                f" {key_path('link', 0)} has {links[0].device or 'none'}"
            )
        if isinstance(link, DialledLink) and link.redial.max < link.redial.first:
            key = key_path("link", index, "redial", "max")
            yield f"{key}: is less than first, from which the delay grows"
        if isinstance(link, PppLink):
            yield from _ppp_problems(key_path("link", index), link)
    yield from _shared_lines(links)
    yield from _hold_problems(links)


# Keys of a PPP link that are about some kinds of line only.
_OF_OCTETS = ("chat", "hang_up_chat", "number")
_OF_PORTS = ("speed", "flow_control")
_OF_ETHERNET = ("service", "concentrator")


def _ppp_problems(section: str, link: PppLink) -> Iterator[str]:
    for keys, fits, what in (
        (_OF_OCTETS, not isinstance(link.line, Ethernet), "is for lines with a modem"),
        (_OF_PORTS, isinstance(link.line, Serial), "is for serial ports"),
        (_OF_ETHERNET, isinstance(link.line, Ethernet), "is for PPPoE"),
    ):
        for key in keys:
            if getattr(link, key) != PppLink.model_fields[key].default and not fits:
                yield f"{section}.{key}: {what}, and the line is {link.line}"
    if link.number and link.chat is None:
        yield f"{section}.number: needs a chat that dials it"
    if (link.user is None) != (link.password_file is None):
        missing, given = (
            ("user", "password_file") if link.user is None else ("password_file", "user")
        )
        yield f"{section}.{given}: needs {missing} beside it"
    if link.auth != PppLink.model_fields["auth"].default and link.user is None:
        yield f"{section}.auth: needs user and password_file; without them nobody logs in"
    if link.device == link.carrier:
        yield f"{section}.device: is the card; the TUN that PPP makes needs its own name"


def _shared_lines(links: Sequence[LinkSection]) -> Iterator[str]:
    """Yield which lines are those of other links; each start of a program is one of its own."""
    first: dict[object, int] = {}
    for index, link in enumerate(links):
        if not isinstance(link, PppLink) or isinstance(link.line, Program):
            continue
        line, own = link.line, "each link has its own"
        wanted: object = line
        if isinstance(line, Ethernet):
            own = "on one card each has its own service or concentrator"
            wanted = (line, link.service, link.concentrator)
        if first.setdefault(wanted, index) != index:
            taken = key_path("link", first[wanted])
            yield f"{key_path('link', index, 'line')}: {line} is already the line of {taken}; {own}"


def _hold_problems(links: Sequence[LinkSection]) -> Iterator[str]:
    dialling = [index for index, link in enumerate(links) if isinstance(link, DialledLink)]
    for index in dialling[1:]:
        if "hold" in links[index].model_fields_set:
            yield (
                f"{key_path('link', index, 'hold')}: packets wait in one queue for all links;"
                f" its bounds are those at {key_path('link', dialling[0])}, the first that dials"
            )


def line_warnings(file: RouterFile) -> Iterator[str]:
    """Yield what a sound file says without effect."""
    yield from _policy_warnings(file.policy)
    budget = file.budget
    periods = (budget.per_hour, budget.per_day, budget.per_month)
    limited = any(period != AllowanceSection() for period in periods)
    if limited and not any(link.metered for link in file.link):
        yield "budget: is without effect; no link is metered"
    if file.schedule and not any(link.mode is Mode.ON_DEMAND for link in file.link):
        yield "schedule: is without effect; no link is on-demand"


def _policy_warnings(rules: Sequence[PolicySection]) -> Iterator[str]:
    for index, rule in enumerate(rules):
        if rule.hold is not None and not (rule.action.raises or rule.action.holds):
            yield (
                f"{key_path('policy', index, 'hold')}: is without effect;"
                f' "{rule.action.value}" never holds a line'
            )
