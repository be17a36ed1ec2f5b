"""A line with PPP: what of a provider's word is believed."""

import asyncio
import random
from typing import Any

import pytest

from router.host.lines import ppp as lines
from router.host.lines.backend import DialError, LineAddress, LineLostError
from router.host.lines.ppp import PppBackend
from router.host.ppp.stream import StreamLine
from router.ppp.types import Opened, SessionConfig
from router.routing import Place, RoutingConfig, RoutingTable
from router.wire.address import Network, parse_address
from tests.lab.ppplines import FakePort

GOOD = "203.0.113.2"
NOWHERE = ["192.168.1.1", "192.168.1.9", "192.168.1.255", "169.254.1.1", "255.255.255.255"]
ROUTES = RoutingTable(RoutingConfig(parse_address("192.168.1.1"), Network.parse("192.168.1.0/24")))


class _Engine:
    """Comes to what is told, one after the other."""

    told: list[Opened]

    def __init__(self, *_: Any, **__: Any) -> None: ...

    async def connect(self) -> None: ...

    async def open(self) -> Opened:
        return self.told.pop(0)

    async def change(self) -> Opened:
        return self.told.pop(0)

    async def hang_up(self) -> None: ...


def opened(address: str, *dns: str) -> Opened:
    return Opened(
        parse_address(address), parse_address("203.0.113.1"), 1500, tuple(map(parse_address, dns))
    )


@pytest.fixture
def backend(monkeypatch: pytest.MonkeyPatch) -> PppBackend:
    monkeypatch.setattr(lines, "Engine", _Engine)
    return PppBackend(
        "isp",
        StreamLine(FakePort()),
        SessionConfig(),
        netns="wan",
        device="ppp0",
        rng=random.Random(1),
        is_outside=lambda address: ROUTES.lookup(address).place is Place.LINE,
    )


def dial(backend: PppBackend, *told: Opened) -> LineAddress:
    _Engine.told = [*told]
    return asyncio.run(backend.dial(lambda: None))


@pytest.mark.parametrize("address", NOWHERE)
def test_an_address_that_cannot_be_beyond_the_line_makes_none(
    backend: PppBackend, address: str
) -> None:
    why = f"^the provider assigns {address}, which is not an address beyond the line$"
    with pytest.raises(DialError, match=why):
        dial(backend, opened(address))
    dial(backend, opened(GOOD), opened(address))
    with pytest.raises(LineLostError, match=why):
        asyncio.run(backend.watch())


def test_a_private_address_that_is_not_on_the_lan_is_as_good_as_any(backend: PppBackend) -> None:
    assert dial(backend, opened("10.9.8.7")).address == parse_address("10.9.8.7")


def test_name_servers_are_asked_beyond_the_line_only(
    backend: PppBackend, caplog: pytest.LogCaptureFixture
) -> None:
    line = dial(backend, opened(GOOD, "127.0.0.1", "198.51.100.20"))
    assert line.dns == (parse_address("198.51.100.20"),)
    assert caplog.messages == ["isp: no name server can be at 127.0.0.1"]
    assert dial(backend, opened(GOOD, "192.168.1.1", "192.168.1.9")).dns == ()
