"""The `[[link]]` sections: a kind for each backend, with the keys that make sense for it.

Each says what the link cores are told of it.
"""

from pathlib import Path
from typing import Annotated, Any, ClassVar, Self

from pydantic import Discriminator, Field, Tag

from router.config.linevalues import (
    Backend,
    Command,
    Factor,
    LinkMode,
    RecoveryWay,
    Share,
    StaticMode,
    Threshold,
    found,
)
from router.config.media import Ethernet, Medium
from router.config.pppvalues import USUAL_SPEED, Flow, Label, Methods, Numbers, Speed, User
from router.config.section import Section
from router.config.values import (
    Address,
    Count,
    DeviceName,
    Duration,
    FilePath,
    Flag,
    Interface,
    Mtu,
    Name,
    PositiveDuration,
    Size,
)
from router.host.ppp.tty import FlowControl
from router.link.types import HoldLimits, LinkConfig, Mode, RedialConfig
from router.ppp.types import BY_STRENGTH, Echo

__all__ = [
    "KINDS",
    "AnyLink",
    "CommandLink",
    "DialledLink",
    "HoldSection",
    "Link",
    "LinkSection",
    "PppLink",
    "RedialSection",
    "StaticLink",
]

DEFAULT_MTU = 1500  # bytes, Ethernet's (RFC 894)
_STATUS_INTERVAL_S = 30.0  # seconds: what a dead line may cost before it is noticed
_LINK = LinkConfig("")
_REDIAL = RedialConfig()
_HOLD = HoldLimits()
_ECHO = Echo()


class RedialSection(Section):
    """`[link.redial]`: `RedialConfig`, key for key."""

    first: PositiveDuration = _REDIAL.first_s
    factor: Factor = _REDIAL.factor
    max: PositiveDuration = _REDIAL.max_s
    jitter: Share = _REDIAL.jitter
    after_loss: Duration = _REDIAL.after_loss_s

    def told(self) -> RedialConfig:
        """Return what the link's core is told."""
        return RedialConfig(self.first, self.factor, self.max, self.jitter, self.after_loss)


class HoldSection(Section):
    """`[link.hold]`: `HoldLimits`, key for key. There is one queue for all links."""

    packets: Count = _HOLD.packets
    bytes: Size = _HOLD.bytes
    age: PositiveDuration = _HOLD.age_s

    def told(self) -> HoldLimits:
        """Return what the hold queue is told."""
        return HoldLimits(self.packets, self.bytes, self.age)


class LinkSection(Section):
    """What a `[[link]]` has with every backend. `nature` is why it lacks what others have."""

    nature: ClassVar[str]

    name: Name = Field(examples=["isp"])
    backend: Backend = Field(examples=["static"])
    device: DeviceName | None = None
    mtu: Mtu = DEFAULT_MTU
    dead_after: Count = _LINK.dead_after
    recovery: RecoveryWay = _LINK.recovery

    @property
    def carrier(self) -> str | None:
        """The card below the device, which carries PPPoE and nothing else."""
        return None

    def placed(self, folder: Path) -> Self:
        """Return the section with its programs and files as found from the folder of the file."""
        programs = ((key, getattr(self, key, None)) for key in ("up", "down", "status"))
        files = (
            (key, getattr(self, key, None)) for key in ("chat", "hang_up_chat", "password_file")
        )
        places: dict[str, Any] = {key: found(each, folder) for key, each in programs if each}
        return self.model_copy(update=places | {key: folder / each for key, each in files if each})


class AskedLink(LinkSection):
    """A `[[link]]` that a command may be asked about."""

    status: Command | None = None
    status_interval: PositiveDuration = _STATUS_INTERVAL_S


class DialledLink(LinkSection):
    """A `[[link]]` that is raised and taken down."""

    mode: LinkMode = _LINK.mode
    metered: Flag = _LINK.metered
    idle_timeout: Duration = _LINK.idle_timeout_s
    dial_timeout: PositiveDuration = _LINK.dial_timeout_s
    hang_up_timeout: PositiveDuration = _LINK.hang_up_timeout_s
    min_up: Duration = _LINK.min_up_s
    billing_unit: Duration = _LINK.billing_unit_s
    max_session: Duration = _LINK.max_session_s
    refusals: Threshold = _LINK.refusals
    redial: RedialSection = RedialSection()
    hold: HoldSection = HoldSection()

    def told(self) -> LinkConfig:
        """Return what the link's core is told."""
        return LinkConfig(
            name=self.name,
            mode=self.mode,
            metered=self.metered,
            mtu=self.mtu,
            idle_timeout_s=self.idle_timeout,
            dial_timeout_s=self.dial_timeout,
            hang_up_timeout_s=self.hang_up_timeout,
            min_up_s=self.min_up,
            billing_unit_s=self.billing_unit,
            max_session_s=self.max_session,
            redial=self.redial.told(),
            dead_after=self.dead_after,
            recovery=self.recovery,
            refusals=self.refusals,
        )


class StaticLink(AskedLink):
    """A `[[link]]` that is always on: a card with a fixed address, or the bare TUN without one."""

    nature: ClassVar[str] = "a static line has a fixed address and is always up"

    mode: StaticMode = Mode.PERMANENT
    metered: Flag = False
    address: Interface = Field(examples=["203.0.113.2/24"])
    gateway: Address | None = None
    dns: tuple[Address, ...] = ()

    def told(self) -> LinkConfig:
        """Return what the link's core is told; a dead line is looked at as often as a live one."""
        interval_s = self.status_interval
        return LinkConfig(
            name=self.name,
            mode=self.mode,
            metered=self.metered,
            mtu=self.mtu,
            idle_timeout_s=0.0,
            redial=RedialConfig(interval_s, 1.0, interval_s, 0.0, interval_s),
            dead_after=self.dead_after,
            recovery=self.recovery,
        )


class CommandLink(DialledLink, AskedLink):
    """A `[[link]]` that commands raise and take down."""

    nature: ClassVar[str] = "what the command for `up` raises has an address of its own"

    up: Command = Field(examples=["./isp-up"])
    down: Command = Field(examples=["./isp-down"])


class PppLink(DialledLink):
    """A `[[link]]` that is dialled and logged in to here."""

    nature: ClassVar[str] = "the provider tells what a PPP line has when it is dialled"

    device: DeviceName = "ppp0"
    line: Medium = Field(examples=["/dev/ttyS1"])
    speed: Speed = USUAL_SPEED
    flow_control: Flow = FlowControl.RTS_CTS
    chat: FilePath | None = None
    hang_up_chat: FilePath | None = None
    number: Numbers = ()
    service: Label = ""
    concentrator: Label = ""
    user: User | None = None
    password_file: FilePath | None = None
    auth: Methods = BY_STRENGTH
    echo_interval: Duration = _ECHO.interval_s
    echo_failures: Count = _ECHO.failures

    @property
    def carrier(self) -> str | None:
        """The card for PPPoE, if the line is one."""
        return self.line.device if isinstance(self.line, Ethernet) else None

    def placed(self, folder: Path) -> Self:
        """Return the section with its programs and files as found from the folder of the file."""
        section = super().placed(folder)
        return section.model_copy(update={"line": section.line.placed(folder)})


KINDS: dict[str, type[LinkSection]] = {
    "static": StaticLink,
    "command": CommandLink,
    "ppp": PppLink,
}
AnyLink = StaticLink | CommandLink | PppLink
_OTHERWISE = "command"  # the kind that a section without a known backend is judged by


def _kind(section: Any) -> str:
    backend = section.get("backend") if isinstance(section, dict) else None
    return backend if isinstance(backend, str) and backend in KINDS else _OTHERWISE


Link = Annotated[
    Annotated[StaticLink, Tag("static")]
    | Annotated[CommandLink, Tag("command")]
    | Annotated[PppLink, Tag("ppp")],
    Discriminator(_kind),
]
