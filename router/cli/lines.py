"""What a configuration says about the lines in sentences: when they rise and fall, and for whom."""

from collections.abc import Iterator

from router.cli.tables import duration
from router.config import (
    AnyLink,
    AskedLink,
    CommandLink,
    Config,
    DialledLink,
    HostSection,
    PppLink,
    StaticLink,
)
from router.config.hours import format_span
from router.config.media import Ethernet, Serial
from router.host.ppp.tty import FlowControl
from router.link.types import Allowance, LinksConfig, Mode, Recovery, RedialConfig, Right
from router.ppp.lcp import PPPOE_MRU
from router.units import format_size
from router.wire.address import format_address

__all__ = ["breaker", "budget", "hold", "hosts", "lines", "policy", "schedule"]

_MODES = {
    Mode.ON_DEMAND: "raised for traffic",
    Mode.PERMANENT: "always up",
    Mode.MANUAL: "raised by people",
}
_RECOVERIES = {
    Recovery.DRAIN: "its sessions go on until they end",
    Recovery.CUT: "it is taken down",
}
_RIGHTS = {
    Right.MAY_DIAL: "may dial",
    Right.MAY_USE: "may use what others have raised",
    Right.NEVER: "may not use a line",
}


def lines(config: Config) -> Iterator[str]:
    """Yield where each line is, and how it rises and falls."""
    several = len(config.links) > 1
    for index, link in enumerate(config.links):
        where = _where(link, config)
        for each in _link(link, where):
            yield f"{link.name}: {each}"
        if several:
            yield f"{link.name}: dead after {link.dead_after} failures in a row"
        if index:
            yield f"{link.name}: once a link before it works again {_RECOVERIES[link.recovery]}"


def _link(link: AnyLink, where: str) -> Iterator[str]:
    match link:
        case StaticLink():
            yield from _static(link, where)
        case CommandLink():
            yield f"raised by {link.up[0]} on {where}, MTU {link.mtu}"
            yield from _dialled(link)
        case PppLink():
            yield f"PPP by {link.line} on {where}, {_ppp_mtu(link)}"
            yield from _medium(link)
            yield from _login(link)
            yield _echo(link)
            yield from _dialled(link)


def _where(link: AnyLink, config: Config) -> str:
    tun, netns = config.wan.tun, config.wan.netns
    via = f"{link.device}, its packets led into {tun}" if link.device else f"the TUN {tun}"
    return f"{via} in namespace {netns}" if netns else via


def _static(link: StaticLink, where: str) -> Iterator[str]:
    gateway = "no gateway" if link.gateway is None else f"gateway {format_address(link.gateway)}"
    yield f"{link.address} on {where}, {gateway}, MTU {link.mtu}"
    yield ", ".join(_life(link))


def _ppp_mtu(link: PppLink) -> str:
    """Return the MTU in force, which is no larger than what the line carries."""
    if isinstance(link.line, Ethernet) and link.mtu > PPPOE_MRU:
        return f"MTU {PPPOE_MRU}, the most that PPPoE carries"
    return f"MTU {link.mtu}"


def _medium(link: PppLink) -> Iterator[str]:
    if isinstance(link.line, Serial):
        heeded = link.flow_control is not FlowControl.NONE
        flow = f"flow control {link.flow_control.value}" if heeded else "no flow control"
        yield f"{link.speed} bit/s, {flow}"
    if link.service or link.concentrator:
        yield f"service {link.service or 'any'}, concentrator {link.concentrator or 'any'}"
    if link.chat is not None:
        dials = f"dials {', or '.join(link.number)} by the chat" if link.number else "the chat is"
        yield f"{dials} {link.chat}"
    if link.hang_up_chat is not None:
        yield f"hangs up by the chat {link.hang_up_chat}"


def _login(link: PppLink) -> Iterator[str]:
    if link.user is None:
        yield "no login"
    else:
        methods = ", ".join(method.value for method in link.auth)
        yield f"logs in as {link.user} by {methods}, with the password in {link.password_file}"


def _echo(link: PppLink) -> str:
    if not link.echo_interval:
        return "never asked whether it is still there"
    return (
        f"asked after {duration(link.echo_interval)} of silence whether it is still there,"
        f" lost after {link.echo_failures} times without an answer"
    )


def _dialled(link: CommandLink | PppLink) -> Iterator[str]:
    yield ", ".join((*_life(link), *_falls(link)))
    dial, hang_up = duration(link.dial_timeout), duration(link.hang_up_timeout)
    yield f"{dial} to dial, {hang_up} to hang up"
    yield _rest(link.redial.told())
    yield _refused(link.refusals)


def _life(link: AnyLink) -> Iterator[str]:
    yield _MODES[link.mode]
    yield "metered" if link.metered else "not metered"
    if isinstance(link, AskedLink) and link.status:
        yield f"{link.status[0]} looks every {duration(link.status_interval)} whether it works"


def _falls(link: DialledLink) -> Iterator[str]:
    if link.mode is not Mode.PERMANENT:
        yield f"idle after {duration(link.idle_timeout)}" if link.idle_timeout else "never idle"
    if link.min_up:
        yield f"up for {duration(link.min_up)} at least"
    if link.billing_unit:
        yield f"paid for in units of {duration(link.billing_unit)}"
    if link.max_session:
        yield f"up for {duration(link.max_session)} at most"


def _rest(redial: RedialConfig) -> str:
    first, loss = duration(redial.first_s), duration(redial.after_loss_s)
    grows = redial.factor > 1 and redial.max_s > redial.first_s
    longer = f", then {redial.factor:g} times as long up to {duration(redial.max_s)}"
    return f"dialled again {loss} after a loss and {first} after a failure{longer if grows else ''}"


def _refused(refusals: int) -> str:
    if not refusals:
        return "dialled again however often the login is refused"
    times = "a refused login" if refusals == 1 else f"{refusals} refused logins in a row"
    return f"left to people after {times}"


def hold(told: LinksConfig) -> Iterator[str]:
    """Yield what waits while a line is dialled."""
    limits = told.hold
    if any(link.mode is not Mode.PERMANENT for link in told.links):
        yield (
            f"up to {limits.packets} packets and {format_size(limits.bytes)},"
            f" each for {duration(limits.age_s)} at most"
        )


def hosts(config: Config) -> Iterator[str]:
    """Yield what each host may do with a line."""
    for host in config.hosts:
        right = _RIGHTS[host.dial or config.lan.dial]
        hours = [f"{format_span(each.span)} it {_RIGHTS[each.dial]}" for each in host.schedule]
        yield "; ".join([f"{host.name} is {_known_by(host)} and {right}", *hours])
    yield (
        f"every other host {_RIGHTS[config.lan.dial]}"
        if config.hosts
        else f"every host {_RIGHTS[config.lan.dial]}"
    )


def _known_by(host: HostSection) -> str:
    address = None if host.address is None else format_address(host.address)
    return " or ".join(filter(None, (address, host.mac)))


def policy(told: LinksConfig) -> Iterator[str]:
    """Yield the rules in the order in which they are asked."""
    for number, rule in enumerate(told.demand.rules, start=1):
        hold = "" if rule.hold_s is None else f", hold {duration(rule.hold_s)}"
        yield f"{number}. {rule}{hold}   ({rule.origin})"
    yield "otherwise accept"


def budget(told: LinksConfig) -> Iterator[str]:
    """Yield what may be used of metered links."""
    limits = told.budget
    periods = {"hour": limits.per_hour, "day": limits.per_day, "month": limits.per_month}
    allowed = {period: ", ".join(_allowance(each)) for period, each in periods.items()}
    for period, what in allowed.items():
        if what:
            yield f"{what} per {period}"
    if allowed["month"]:
        yield f"a month begins on day {limits.month_day}"
    if any(allowed.values()):
        yield f"people are warned at {limits.warn:.0%}"


def _allowance(allowance: Allowance) -> Iterator[str]:
    if allowance.minutes is not None:
        yield f"{allowance.minutes} minutes"
    if allowance.dials is not None:
        yield f"{allowance.dials} dials"
    if allowance.bytes is not None:
        yield format_size(allowance.bytes)


def breaker(told: LinksConfig) -> Iterator[str]:
    """Yield when metered links stop being dialled by themselves."""
    limits = told.breaker
    conditions = (
        (limits.failures, "failures in a row"),
        (limits.useless, "useless rises in a row"),
        (limits.dials_per_hour, "dials within an hour"),
    )
    trips = " or ".join(f"{count} {what}" for count, what in conditions if count)
    if trips and any(link.metered for link in told.links):
        yield f"metered links rest for {duration(limits.rest_s)} after {trips}"


def schedule(config: Config) -> Iterator[str]:
    """Yield the hours in which links on demand have another mode."""
    for entry in config.schedule:
        yield f"{format_span(entry.span)} {entry.mode.value}"
    if config.schedule:
        yield f"otherwise {Mode.MANUAL.value}"
        yield f"by the clock of {config.zone}"
