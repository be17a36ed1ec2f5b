"""Who looks for a way in or around: nmap and hping3 from both sides, and spoofed packets.

Two tcpdumps judge. The one on the LAN sees what reaches it through the router, the one outside
what leaves; each answers for what it has seen since the test before.
"""

import re
from collections.abc import Callable, Iterator

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.packet import Packet, Raw

from tests.lab.injector import injecting
from tests.lab.site import ADDRESSES, EXTERNAL, GATEWAY, OTHER_SERVER, ROUTER, SERVER, Site, a_site
from tests.lab.watch import leaks, watching

pytestmark = [pytest.mark.net, pytest.mark.slow]

ALICE, MAIL = ADDRESSES["alice"], ADDRESSES["mail"]
RULES = "tcp 80 -> 192.168.1.10\ntcp 25 -> 192.168.1.10\nudp 69 -> 192.168.1.10\n"
PORTS = "1-200,1024,3128,5060,8080,49152,65535"
MARTIANS = ["0.1.2.3", "127.0.0.1", "169.254.7.7", "224.0.0.5", "240.0.0.1", "255.255.255.255"]
ODD_FLAGS = ("", "-SF", "-SR", "-SFRPAUXY", "-FPU", "-X", "-SAF", "-R")
NMAP = ("nmap", "-n", "-Pn", "-T4", "--min-rate", "800", "--max-retries", "1", "--reason")

Seen = Callable[[], list[Packet]]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with a_site(tmp_path_factory.mktemp("scans"), rules=RULES) as site:
        for node, address in (("internet", SERVER), ("mail", MAIL)):
            listen = ("socat", f"TCP-LISTEN:80,bind={address},fork,reuseaddr", "OPEN:/dev/null")
            site.serve(node, *listen, ready=f"{address}:80")
        site.start()
        yield site


@pytest.fixture(scope="module")
def lan_watch(site: Site) -> Iterator[Seen]:
    with watching(site, site.lan_end, "ip") as watch:
        yield watch.news


@pytest.fixture(scope="module")
def wan_watch(site: Site) -> Iterator[Seen]:
    with watching(site, site.line_end, "ip") as watch:
        yield watch.news


@pytest.fixture
def lan(lan_watch: Seen) -> Seen:
    lan_watch()
    return lan_watch


@pytest.fixture(autouse=True)
def wan(wan_watch: Seen) -> Iterator[Seen]:
    """What has left; whatever the test is about, nothing private may be among it."""
    everything: list[Packet] = []

    def news() -> list[Packet]:
        new = wan_watch()
        everything.extend(new)
        return new

    wan_watch()
    yield news
    news()
    assert leaks(everything) == []


@pytest.fixture(scope="module", autouse=True)
def serves_afterwards(site: Site) -> Iterator[None]:
    yield
    assert site.status()["traffic"]["faults"] == 0
    assert site.pings("alice", SERVER)


def states(report: str) -> dict[str, str]:
    """The ports nmap names, with their states; those in the state of the rest it leaves out."""
    return dict(re.findall(r"^(\d+/?\w*)\s+(open\|filtered|\w+)\s", report, re.MULTILINE))


def rest(report: str) -> str:
    """The state of all the ports nmap does not name."""
    found = re.search(r"Not shown: \d+ (\S+) ", report)
    assert found, report
    return found[1]


# nmap, from outside


@pytest.mark.parametrize("how", ["-sS", "-sT"])
def test_only_forwarded_ports_answer_a_syn(site: Site, lan: Seen, how: str) -> None:
    report = site.ask("internet", *NMAP, how, "-p", PORTS, EXTERNAL)
    assert states(report) == {"80/tcp": "open", "25/tcp": "closed"}
    assert rest(report) == "filtered"
    assert {(packet.dst, packet[TCP].dport) for packet in lan()} == {(MAIL, 80), (MAIL, 25)}


def test_a_syn_with_its_data_in_fragments_finds_the_same_ports(site: Site, lan: Seen) -> None:
    cut = ("--mtu", "24", "--data-length", "100")
    report = site.ask("internet", *NMAP, "-sS", *cut, "-p", "20-90", EXTERNAL)
    assert states(report) == {"80/tcp": "open", "25/tcp": "closed"}
    assert rest(report) == "filtered"
    assert {packet.dst for packet in lan()} == {MAIL}


def test_a_tcp_header_in_fragments_reaches_nobody(site: Site, lan: Seen) -> None:
    """RFC 1858: the flags of such a segment can be changed after it was looked at."""
    report = site.ask("internet", *NMAP, "-sS", "-f", "-p", "20-90", EXTERNAL)
    assert (states(report), rest(report)) == ({}, "filtered")
    assert lan() == []


@pytest.mark.parametrize("how", ["-sA", "-sF", "-sN", "-sX", "-sM", "-sW"])
def test_segments_out_of_nothing_reach_nobody(site: Site, lan: Seen, how: str) -> None:
    report = site.ask("internet", *NMAP, how, "-p", PORTS, EXTERNAL)
    assert states(report) == {}
    assert rest(report) in ("filtered", "open|filtered")
    assert lan() == []


def test_only_a_forwarded_port_answers_udp(site: Site, lan: Seen) -> None:
    report = site.ask("internet", *NMAP, "-sU", "-p", PORTS, EXTERNAL)
    assert states(report) == {"69/udp": "closed"}
    assert rest(report) == "open|filtered"
    assert {(packet.dst, packet[UDP].dport) for packet in lan()} == {(MAIL, 69)}


def test_no_protocol_but_icmp_answers(site: Site, lan: Seen) -> None:
    report = site.ask("internet", *NMAP, "-sO", "-p", "0-150", EXTERNAL)
    assert re.findall(r"^(\d+) +open ", report, re.MULTILINE) == ["1"]
    assert lan() == []


def test_the_lan_is_not_there_for_those_outside(site: Site, lan: Seen) -> None:
    report = site.ask("internet", *NMAP, "-sS", "-p", "25,80", ROUTER, *ADDRESSES.values())
    assert not re.search(r"\bopen\b|\bclosed\b|unfiltered", report)
    assert lan() == []


# nmap, from inside


def test_a_scan_from_inside_sees_what_is_there(site: Site) -> None:
    report = site.ask("alice", *NMAP, "-sS", "-p", "1-500", SERVER)
    assert states(report) == {"80/tcp": "open"}
    assert rest(report) == "closed"


def test_a_scan_of_the_lan_is_none_of_the_routers_business(site: Site, wan: Seen) -> None:
    report = site.ask("alice", "nmap", "-n", "-sn", "-T4", "192.168.1.0/28")
    up = re.findall(r"report for (\S+)\nHost is up", report)
    assert sorted(up) == sorted([ROUTER, *ADDRESSES.values()])
    assert wan() == []


# hping3


def test_odd_flags_from_both_sides(site: Site, lan: Seen) -> None:
    hping = ("hping3", "-n", "-q", "-i", "u2000", "-c", "3")
    calls = [
        (node, *hping, *flags.split(), "-s", str(2000 + 10 * number), "-p", port, address)
        for number, flags in enumerate(ODD_FLAGS)
        for node, port, address in (("alice", "80", SERVER), ("internet", "79", EXTERNAL))
    ]
    assert all("hping statistic" in said for said in site.ask_all(calls))
    assert {packet.dst for packet in lan()} <= {ALICE}
    assert "flags=SA" in site.ask("alice", "hping3", "-S", "-p", "80", "-c", "1", SERVER)


def test_tiny_fragments_are_put_together_again(site: Site) -> None:
    ping = ("hping3", "-1", "-f", "-d", "300", "-c", "2", "-i", "u10000")
    assert "2 packets received, 0% packet loss" in site.ask("alice", *ping, SERVER)
    syn = ("hping3", "-S", "-m", "24", "-d", "100", "-p", "80", "-c", "1")
    assert "flags=SA" in site.ask("alice", *syn, SERVER)


def test_a_wrong_checksum_is_never_made_right(wan: Seen, site: Site) -> None:
    with injecting(site, ("alice", "eth0")) as injector:
        for layer in (UDP(sport=4000, dport=53, chksum=0xBAD), TCP(dport=53, chksum=0xBAD),
                      ICMP(chksum=0xBAD)):  # fmt: skip
            injector.send(bytes(IP(src=ALICE, dst=SERVER, id=77) / layer / Raw(b"wrong")))
        injector.send(bytes(IP(src=ALICE, dst=SERVER, id=77, chksum=0xBAD) / UDP() / Raw(b"x")))
    sent = [packet for packet in wan() if Raw in packet and packet[Raw].load == b"wrong"]
    assert [packet for packet in sent if _checksum_is_right(packet)] == []


def _checksum_is_right(packet: Packet) -> bool:
    fresh = packet.copy()
    del fresh[1].chksum
    return bool(IP(bytes(fresh))[1].chksum == packet[1].chksum)


# Spoofed sources


@pytest.mark.parametrize(
    "source",
    [*MARTIANS, "10.1.1.1", "192.168.2.1", "8.8.8.8", ROUTER, EXTERNAL, SERVER, "192.168.1.255"],
)
def test_a_source_that_is_not_the_lans_does_not_leave(site: Site, wan: Seen, source: str) -> None:
    with injecting(site, ("alice", "eth0")) as injector:
        for layer in (UDP(sport=4000, dport=53), TCP(sport=4000, dport=80), ICMP(id=4000)):
            assert injector.send(bytes(IP(src=source, dst=SERVER) / layer / Raw(b"spoofed")))
    assert [packet.summary() for packet in wan() if _has(packet, b"spoofed")] == []


@pytest.mark.parametrize("source", [*MARTIANS, ROUTER, ALICE, MAIL, EXTERNAL, "192.168.1.255"])
def test_a_source_that_cannot_be_outside_reaches_nobody(site: Site, lan: Seen, source: str) -> None:
    with injecting(site, ("internet", "eth0")) as injector:
        for to in (EXTERNAL, MAIL):
            for layer in (TCP(sport=4000, dport=80), UDP(sport=4000, dport=69), ICMP(id=4000)):
                assert injector.send(bytes(IP(src=source, dst=to) / layer / Raw(b"spoofed")))
    assert [packet.summary() for packet in lan() if _has(packet, b"spoofed")] == []


@pytest.mark.parametrize("to", [*MARTIANS, "192.168.1.255", "203.0.113.255"])
def test_a_destination_that_cannot_be_is_not_looked_for(
    site: Site, lan: Seen, wan: Seen, to: str
) -> None:
    spoof = UDP(sport=4000, dport=69) / Raw(b"astray")
    with (
        injecting(site, ("internet", "eth0")) as outside,
        injecting(site, ("alice", "eth0")) as in_,
    ):
        assert outside.send(bytes(IP(src=SERVER, dst=to) / spoof))
        assert in_.send(bytes(IP(src=ALICE, dst=to) / spoof))
    assert [packet.summary() for packet in wan() if _has(packet, b"astray")] == []
    assert [packet.summary() for packet in lan() if _has(packet, b"astray")] == []


def _has(packet: Packet, data: bytes) -> bool:
    return Raw in packet and data in packet[Raw].load


# Protocols without ports


@pytest.mark.parametrize("protocol", [47, 50, 132, 253])
def test_a_protocol_without_ports_goes_both_ways(
    site: Site, lan: Seen, wan: Seen, protocol: int
) -> None:
    body = Raw(bytes(range(64)))
    with injecting(site, ("alice", "eth0")) as injector:
        assert injector.send(bytes(IP(src=ALICE, dst=SERVER, proto=protocol) / body))
    assert [(packet.src, packet.dst) for packet in wan() if packet.proto == protocol] == [
        (EXTERNAL, SERVER)
    ]
    with injecting(site, ("internet", "eth0")) as injector:
        for source in (SERVER, OTHER_SERVER, GATEWAY):
            assert injector.send(bytes(IP(src=source, dst=EXTERNAL, proto=protocol) / body))
    assert [(packet.src, packet.dst) for packet in lan() if packet.proto == protocol] == [
        (SERVER, ALICE)
    ]
