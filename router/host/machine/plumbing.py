"""Plumbing: both TUN devices, and everything on the machine that leads packets into them.

The order keeps the machine shut while things are half done: refusals before routes, the line
before the LAN, forwarding last; taken back in the opposite order. `lanside`, `wanside` and
`wanline` say what is done, `changes` how, `journal` how it is undone. With the instance lock held:

    plumbing = Plumbing(lan, wan, Journal(state_dir / "journal"))
    plumbing.recover()                  # what a killed predecessor left, but for its lines
    lan_tun, wan_tun = plumbing.apply()
    ...
    plumbing.admit("isp")               # before it is dialled: a card plugged in late
    plumbing.raise_line("isp", line)    # and again with another address
    plumbing.drop_line("isp")
    ...
    plumbing.undo()

Of the lines that are up, the first in the order of the links is the active one.

Blocking, and speaks netlink: call it from a thread that runs no event loop, one call at a time.
"""

from collections.abc import Iterable

from router.errors import DeviceError
from router.host.machine import links, netns
from router.host.machine.changes import Namespace
from router.host.machine.journal import Change, Journal
from router.host.machine.lanside import LanNic, LanSide, lan_changes
from router.host.machine.nic import MovedNic
from router.host.machine.tun import TunDevice, open_tun
from router.host.machine.wanline import LineAddress, active_changes, line_changes
from router.host.machine.wanside import WanLink, WanSide, device_changes, wan_changes

__all__ = ["LanNic", "LanSide", "LineAddress", "Plumbing", "WanLink", "WanSide"]


class Plumbing:
    """The machine made ready for the router, and made as it was again."""

    def __init__(self, lan: LanSide, wan: WanSide, journal: Journal) -> None:
        self._lan = lan
        self._wan = wan
        self._journal = journal
        self._tuns: list[TunDevice] = []
        self._up: set[str] = set()
        self._active: WanLink | None = None

    def recover(self) -> list[str]:
        """Take back what a killed predecessor did; return a sentence per failure.

        The WAN namespace and the cards in it stay, if they are wanted again, because a line that
        the predecessor has raised may still be up there.
        """
        return self._journal.undo(spared=self._may_have_a_line)

    def apply(self) -> tuple[TunDevice, TunDevice]:
        """Make the machine ready; return the LAN's and the lines' TUN.

        Their `mtu` is the configured one or that of the device behind, whichever is smaller;
        of several lines, the greatest. Raises DeviceError with one sentence, and then everything
        is as it was.
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

    def admit(self, name: str) -> None:
        """Have the link's device where lines are, if it has come since the start.

        Raises DeviceError when a card that should be there from the start is not.
        """
        self._perform(device_changes(self._wan.netns, self._link(name)))

    def raise_line(self, name: str, line: LineAddress) -> None:
        """Let packets go by a line that has risen, or has another address now.

        Raises DeviceError with one sentence, and then nothing of the line is left.
        """
        link = self._link(name)
        self._journal.undo_group(name)
        try:
            self._perform(line_changes(self._wan, link, line), name)
            self._up.add(name)
            self._choose_active()
        except BaseException:
            self.drop_line(name)
            raise

    def drop_line(self, name: str) -> list[str]:
        """Let nothing go by the line any more; return a sentence per failure."""
        self._up.discard(name)
        self._choose_active()
        return self._journal.undo_group(name)

    def undo(self) -> list[str]:
        """Take back what the journal holds, close the TUNs; return a sentence per failure."""
        problems = self._journal.undo()
        self._up.clear()
        self._active = None
        while self._tuns:
            self._tuns.pop().close()
        return problems

    def _link(self, name: str) -> WanLink:
        (link,) = (link for link in self._wan.links if link.name == name)
        return link

    def _may_have_a_line(self, change: Change) -> bool:
        wan = self._wan
        if isinstance(change, Namespace):
            return change.netns == wan.netns and bool(wan.devices) and netns.exists(wan.netns)
        if isinstance(change, MovedNic):
            return change.target == wan.netns and change.device in wan.devices
        return False

    def _choose_active(self) -> None:
        """Have one active line while any is up; the new one's rules come before the old ones go."""
        former = self._active
        best = next((link for link in self._wan.links if link.name in self._up), None)
        if best is former:
            return
        if best is not None:
            self._perform(active_changes(self._wan, best), _active(best))
        if former is not None:
            self._journal.undo_group(_active(former))
        self._active = best

    def _perform(self, changes: Iterable[Change], group: str = "") -> None:
        for change in changes:
            self._journal.perform(change, group)

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
        lan_mtu = lan.mtu
        if lan.nic is not None:
            lan_mtu = min(lan_mtu, links.mtu_of(lan.netns, lan.nic.device))
        wan_mtu = max(self._mtu_of(link) for link in wan.links)
        for link in wan.links:
            self._check_room(link)
        return lan_mtu, wan_mtu

    def _mtu_of(self, link: WanLink) -> int:
        if link.device is None or link.made_here:
            return link.mtu
        moved = links.has_device(self._wan.netns, link.device)
        if link.comes_and_goes and not moved and not links.has_device("", link.device):
            return link.mtu
        return min(link.mtu, links.mtu_of(self._wan.netns if moved else "", link.device))

    def _check_room(self, link: WanLink) -> None:
        wan = self._wan
        if link.device is None:
            if wan.devices:
                raise DeviceError(
                    f"link {link.name} has no network device and others have: the TUN is either "
                    "the only line or the way to devices"
                )
            return
        others = {netns.identity(""), netns.identity(self._lan.netns)}
        if netns.exists(wan.netns) and netns.identity(wan.netns) in others:
            raise DeviceError(
                f"network device {link.device} needs a network namespace of its own, "
                "not one the LAN is in"
            )


def _active(link: WanLink) -> str:
    """Return the group of what makes a link the active one; links have no spaces in their names."""
    return f"active {link.name}"
