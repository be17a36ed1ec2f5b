"""Plumbing: both TUN devices, and everything on the machine that leads packets into them.

The order keeps the machine shut while things are half done: refusals before routes, the line
before the LAN, forwarding last; taken back in the opposite order. `lanside` and `wanside` say what
is done, `changes` how, `journal` how it is undone. With the instance lock held:

    plumbing = Plumbing(lan, wan, Journal(state_dir / "journal"))
    plumbing.undo()                     # what a killed predecessor left
    lan_tun, wan_tun = plumbing.apply()
    ...
    plumbing.undo()

Blocking, and speaks netlink: call it from a thread that runs no event loop.
"""

from collections.abc import Iterable

from router.errors import DeviceError
from router.host.machine import links, netns
from router.host.machine.changes import Namespace
from router.host.machine.journal import Change, Journal
from router.host.machine.lanside import LanNic, LanSide, lan_changes
from router.host.machine.tun import TunDevice, open_tun
from router.host.machine.wanside import WanNic, WanSide, wan_changes

__all__ = ["LanNic", "LanSide", "Plumbing", "WanNic", "WanSide"]


class Plumbing:
    """The machine made ready for the router, and made as it was again."""

    def __init__(self, lan: LanSide, wan: WanSide, journal: Journal) -> None:
        self._lan = lan
        self._wan = wan
        self._journal = journal
        self._tuns: list[TunDevice] = []

    def apply(self) -> tuple[TunDevice, TunDevice]:
        """Make the machine ready; return the LAN's and the line's TUN.

        Their `mtu` is the configured one or that of the device behind, whichever is smaller.
        Raises DeviceError with one sentence, and then everything is as it was.
        """
        try:
            lan_mtu, wan_mtu = self._check()
            self._perform(
                Namespace(name)
                for name in (self._lan.netns, self._wan.netns)
                if not netns.exists(name)
            )
            lan = self._open(self._lan.tun, self._lan.netns, lan_mtu)
            wan = self._open(self._wan.tun, self._wan.netns, wan_mtu)
            self._perform(wan_changes(self._wan))
            self._perform(lan_changes(self._lan))
        except BaseException:
            self.undo()
            raise
        return lan, wan

    def undo(self) -> list[str]:
        """Take back what the journal holds, close the TUNs; return a sentence per failure."""
        problems = self._journal.undo()
        while self._tuns:
            self._tuns.pop().close()
        return problems

    def _perform(self, changes: Iterable[Change]) -> None:
        for change in changes:
            self._journal.perform(change)

    def _open(self, name: str, namespace: str, mtu: int) -> TunDevice:
        tun = open_tun(name, netns=namespace, mtu=mtu)
        self._tuns.append(tun)
        if not tun.created:
            self._perform(links.settle_tun(namespace, name, mtu))
            tun.mtu = mtu
        return tun

    def _check(self) -> tuple[int, int]:
        """Return the MTU of both sides; raises DeviceError if devices are not where they must be.

        The WAN namespace has no room for anything else, because there the kernel serves nobody.
        """
        lan, wan = self._lan, self._wan
        lan_mtu, wan_mtu = lan.mtu, wan.mtu
        if lan.nic is not None:
            lan_mtu = min(lan_mtu, links.mtu_of(lan.netns, lan.nic.device))
        if wan.nic is not None:
            moved = links.has_device(wan.netns, wan.nic.device)
            wan_mtu = min(wan_mtu, links.mtu_of(wan.netns if moved else "", wan.nic.device))
            others = {netns.identity(""), netns.identity(lan.netns)}
            if netns.exists(wan.netns) and netns.identity(wan.netns) in others:
                raise DeviceError(
                    f"network device {wan.nic.device} needs a network namespace of its own, "
                    "not one the LAN is in"
                )
        return lan_mtu, wan_mtu
