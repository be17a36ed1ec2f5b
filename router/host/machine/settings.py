"""Kernel settings of network devices, as changes that skip what is already so."""

from collections.abc import Iterator

from router.host.machine.changes import Sysctl, list_sysctls, read_sysctl

__all__ = ["conf", "sysctl", "without_reverse_path_filter"]

_CONF = "net/ipv4/conf"  # linux/Documentation/networking/ip-sysctl.rst, as all names below


def sysctl(netns: str, key: str, value: str) -> Iterator[Sysctl]:
    """Yield the change of one setting; nothing where the kernel has no such setting."""
    former = read_sysctl(netns, key)
    if former is not None and former != value:
        yield Sysctl(netns, key, value, former)


def conf(netns: str, device: str, **values: int) -> Iterator[Sysctl]:
    """Yield the changes of a device's IPv4 settings; `device` may be `all`."""
    for name, value in values.items():
        yield from sysctl(netns, f"{_CONF}/{device}/{name}", str(value))


def without_reverse_path_filter(netns: str, device: str) -> Iterator[Sysctl]:
    """Yield what lets `device` receive from any source, every other device as strict as before.

    The stricter of a device's own value and that of `all` counts, so `all` must be 0; what it
    demanded so far is first demanded of each other device by name.
    """
    demanded = int(read_sysctl(netns, f"{_CONF}/all/rp_filter") or 0)
    for other in list_sysctls(netns, _CONF):
        if other not in {"all", device}:
            own = int(read_sysctl(netns, f"{_CONF}/{other}/rp_filter") or 0)
            yield from conf(netns, other, rp_filter=max(own, demanded))
    for relaxed in (device, "all"):
        yield from conf(netns, relaxed, rp_filter=0)
