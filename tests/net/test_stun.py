"""The router's behaviour as a STUN client finds it out (RFC 5780): coturn's own discovery.

The server has two addresses and two ports outside; `turnutils_natdiscovery` asks from the LAN.
"""

from collections.abc import Iterator

import pytest

from tests.lab.site import OTHER_SERVER, SERVER, Site, a_site
from tests.lab.watch import SUSPECT, Watch, leaks, watching

pytestmark = [pytest.mark.net, pytest.mark.slow]

EI, AD, APD = "endpoint-independent", "address-dependent", "address-and-port-dependent"
SAID = {
    EI: "Endpoint Independent",
    AD: "Address Dependent",
    APD: "Address and Port Dependent",
}
SECOND_ADDRESS = "192.168.1.13"  # of alice
TURNSERVER = ("turnserver", "-n", "-S", "--no-cli", "--no-tls", "--no-dtls", "--log-file=stdout",
              "--pidfile=", "-L", SERVER, "-L", OTHER_SERVER)  # fmt: skip


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with a_site(tmp_path_factory.mktemp("stun")) as site:
        site.serve("internet", *TURNSERVER, ready=f"{SERVER}:3478")
        site.ip("alice", "addr", "add", f"{SECOND_ADDRESS}/24", "dev", "eth0")
        yield site


@pytest.fixture(scope="module")
def line(site: Site) -> Iterator[Watch]:
    with watching(site, site.line_end, SUSPECT) as watch:
        yield watch


@pytest.fixture
def judged(site: Site, line: Watch) -> Iterator[None]:
    """Judge, after each router, that nothing private has been seen outside."""
    yield
    assert leaks(line.seen()) == []
    assert site.status()["traffic"]["faults"] == 0
    assert site.end() == 0


def discovered(site: Site, *options: str) -> str:
    return site.ask("alice", "turnutils_natdiscovery", *options, SERVER)


@pytest.mark.usefixtures("judged")
def test_behaviour_by_default(site: Site) -> None:
    site.configure()
    site.start()
    assert f"NAT with {SAID[EI]} Mapping!" in discovered(site, "-m")
    assert f"NAT with {SAID[AD]} Filtering!" in discovered(site, "-f")


@pytest.mark.parametrize(
    ("mapping", "filtering"),
    [(EI, EI), (AD, EI), (APD, APD)],
)
@pytest.mark.usefixtures("judged")
def test_behaviour_as_configured(site: Site, mapping: str, filtering: str) -> None:
    site.configure(nat=f'mapping = "{mapping}"\nfiltering = "{filtering}"')
    site.start()
    assert f"NAT with {SAID[mapping]} Mapping!" in discovered(site, "-m")
    assert f"NAT with {SAID[filtering]} Filtering!" in discovered(site, "-f")


@pytest.mark.usefixtures("judged")
def test_two_endpoints_with_one_port_and_a_hairpin(site: Site) -> None:
    site.configure(nat=f'filtering = "{EI}"')
    site.start()
    # Both from port 4000, of two addresses: mapped apart (RFC 4787 REQ-3).
    collision = discovered(site, "-c", "-L", "192.168.1.11", "-l", "4000", "-A", SECOND_ADDRESS)
    found = [line.split()[-1] for line in collision.splitlines() if "reflexive addr" in line]
    assert len(found) == len(set(found)) == 2
    assert "successful hairpinning" in discovered(site, "-H")
