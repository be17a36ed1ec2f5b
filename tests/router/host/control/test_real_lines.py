"""The control API over the real forwarder: what the scripted one stands for elsewhere."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import aclosing
from pathlib import Path

import pytest

from router.forwarder import ForwarderConfig
from router.host.control.client import ControlClient, Event
from router.host.control.events import EventHub
from router.host.control.server import ControlApi
from router.host.dataplane.loop import DataPlane
from router.host.ppp.wiretap import Wiretaps
from router.link.messages import Addressed, Closed, Dial, HangUp, Report, Signal
from router.link.types import Allowance, BudgetConfig, LinkConfig, LinksConfig
from router.routing import RoutingConfig
from router.wire.address import Network
from tests.lab.controlled import FakeForwards, FakeLedger, eventually
from tests.lab.links import a_forwarder
from tests.lab.scripted import FrameSocket, ManualClock
from tests.lab.serving import serving_all

CONFIG = ForwarderConfig(
    RoutingConfig(0xC0A80101, Network.parse("192.168.1.0/24")),
    LinksConfig(
        (LinkConfig("isp"), LinkConfig("lte")),
        budget=BudgetConfig(per_day=Allowance(dials=2)),
    ),
)


class Site:
    """A router whose provider answers each dial at once."""

    def __init__(self, directory: Path) -> None:
        clock = ManualClock()
        self.lan, self.wan = FrameSocket("lan0"), FrameSocket("wan0")
        forwarder = a_forwarder(CONFIG, now=clock.now)
        self.plane = DataPlane(forwarder, self.lan, self.wan, clock=clock, on_signals=self._pass_on)
        self.hub = EventHub()
        links = [{"name": name, "backend": "command"} for name in ("isp", "lte")]
        self.api = ControlApi(
            self.plane,
            FakeForwards(),
            lambda: {"uptime_s": 1.0, "links": links},
            {},
            ledger=FakeLedger(),
            events=self.hub,
            wiretaps=Wiretaps(),
        )
        self.path = directory / "control.sock"
        self.client = ControlClient(self.path)
        self.loop: asyncio.AbstractEventLoop

    def _pass_on(self, signals: Sequence[Signal]) -> None:
        for signal in signals:
            self.loop.call_soon_threadsafe(self.hub.note, signal, 0.0)
            if isinstance(signal, Dial):
                self._report(Addressed(signal.link, signal.attempt, 0xCB007102, 1500))
            elif isinstance(signal, HangUp):
                self._report(Closed(signal.link, signal.attempt))

    def _report(self, report: Report) -> None:
        self.plane.submit(lambda forwarder, now: forwarder.lines.report(report, now=now))

    def state(self, name: str = "isp") -> str:
        links = self.client.get("status")["links"]
        return str(next(link["state"] for link in links if link["name"] == name))


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path)
    site.plane.start()
    with serving_all((site.api.application(), site.path)) as site.loop:
        yield site
    site.plane.stop()
    site.lan.close()
    site.wan.close()


def test_a_line_is_raised_and_dropped_and_everybody_is_told(site: Site) -> None:
    async def scenario() -> list[Event]:
        async with aclosing(site.client.events()) as events:
            told = [await anext(events)]
            assert (await site.client.up("isp"))["note"] == ""
            told += [await anext(events) for _ in range(4)]
            assert (await site.client.up("isp"))["note"] == "isp is up already"
            await site.client.down("isp", stay=True)
            told += [await anext(events) for _ in range(3)]
            return told

    snapshot, *later = asyncio.run(asyncio.wait_for(scenario(), 20))
    assert [link["state"] for link in snapshot.data["links"]] == ["DORMANT", "DISABLED"]
    assert [
        event.data["stage"] if event.kind == "rise" else event.data["state"] for event in later
    ] == ["begun", "DIALING", "up", "UP", "HANGING_UP", "ended", "DORMANT"]
    eventually(lambda: site.state() == "DISABLED", "it stays down")


def test_a_lease_raises_the_line_and_is_counted(site: Site) -> None:
    answer = site.client.post("leases", {"id": "m1", "right": "raise", "why": "mail", "ttl_s": 60})
    assert answer == {"id": "m1", "expires_in_s": 60.0, "refused": ""}
    eventually(lambda: site.state() == "UP", "the lease has raised it")
    assert [lease["id"] for lease in site.client.holding()["leases"]] == ["m1"]
    (dials,) = site.client.get("status")["budgets"]
    assert (dials["period"], dials["what"], dials["used"]) == ("day", "dials", 1)
    assert site.client.delete("leases/m1") == {"id": "m1"}


def test_a_lease_that_cannot_raise_the_line_says_why(site: Site) -> None:
    for _ in range(2):  # as many dials as a day has
        asyncio.run(site.client.up("isp"))
        eventually(lambda: site.state() == "UP", "it is up")
        asyncio.run(site.client.down("isp"))
        eventually(lambda: site.state() in ("DORMANT", "DISABLED"), "it is down")
    answer = site.client.post("leases", {"right": "raise", "why": "mail", "ttl_s": 60})
    assert "over budget" in answer["refused"]
    waits = site.client.post("leases", {"right": "use-if-up", "why": "mail", "ttl_s": 60})
    assert waits["refused"] == ""
