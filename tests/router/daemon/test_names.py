import asyncio
from pathlib import Path
from unittest.mock import Mock

import pytest

from router.config import Config, parse
from router.daemon.names import lan_names, require_dnsmasq, serving_names
from router.errors import DeviceError
from router.host.names import dnsmasq as module
from router.host.names.dnsmasq import Dhcp, LanHost, LanNames
from router.wire.address import Network, parse_address

PLAIN = """
[lan]
address = "192.168.1.1/24"
device = "eth1"
[[link]]
name = "isp"
backend = "static"
device = "eth2"
address = "203.0.113.2/24"
dns = ["9.9.9.9"]
"""
SERVED = (
    PLAIN.replace('device = "eth1"\n', 'device = "eth1"\ndns = true\ndomain = "office"\n')
    + """
[[host]]
name = "mail"
address = "192.168.1.10"
mac = "02:00:00:00:00:10"
[[host]]
name = "alice"
address = "192.168.1.11"
[[host]]
name = "phone"
mac = "02:00:00:00:00:12"
[lan.dhcp]
from = "192.168.1.100"
to = "192.168.1.199"
"""
)


def config(text: str) -> Config:
    return parse(text, Path("router.toml"))


def test_what_dnsmasq_is_told() -> None:
    assert lan_names(config(SERVED)) == LanNames(
        parse_address("192.168.1.1"),
        Network.parse("192.168.1.0/24"),
        "office",
        (
            LanHost("mail", parse_address("192.168.1.10"), "02:00:00:00:00:10"),
            LanHost("alice", parse_address("192.168.1.11")),
        ),
        Dhcp(parse_address("192.168.1.100"), parse_address("192.168.1.199"), 43200.0),
    )
    assert lan_names(config(PLAIN)).dhcp is None


def test_dnsmasq_is_needed_only_where_names_are_served(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(module, "SYSTEM_PATH", str(tmp_path))
    require_dnsmasq(config(PLAIN))
    with pytest.raises(DeviceError, match=r"lan\.dns needs dnsmasq"):
        require_dnsmasq(config(SERVED))


def test_nothing_is_served_unless_the_configuration_says_so() -> None:
    async def run() -> None:
        async with serving_names(config(PLAIN), Mock(), Mock()) as names:
            assert names is None

    asyncio.run(run())
