"""Filters: what they match, which way, how mistakes are told; and that no name is looked up."""

import gc
import threading
from collections.abc import Iterator

import pytest

from router.host import filters
from router.host.filters import compile_filter
from tests.lab.packets import VNET_LENGTH, error, fragments, ping, tcp, udp

OUT = "192.168.1.11:4000 > 198.51.100.10:80"
SYN = tcp(f"{OUT} S")
QUERY = udp("192.168.1.11:5000 > 198.51.100.53:53", b"question")
TIME = udp("192.168.1.11:123 > 198.51.100.20:123", bytes(48))
PING = ping("192.168.1.11 > 198.51.100.10")
ERROR = error("192.168.1.11", udp("198.51.100.10:7 > 192.168.1.11:9"), "port-unreachable")


def matches(text: str, frame: bytes, *, outbound: bool = True) -> bool:
    return compile_filter(text)(frame[VNET_LENGTH:], outbound=outbound)


@pytest.mark.parametrize(
    ("text", "frame", "expected"),
    [
        ("", SYN, True),
        ("udp port 123", TIME, True),
        ("udp port 123", QUERY, False),
        ("udp port ntp", TIME, True),
        ("tcp", SYN, True),
        ("tcp", QUERY, False),
        ("tcp[tcpflags] & tcp-syn != 0", SYN, True),
        ("tcp[tcpflags] & (tcp-rst|tcp-fin) != 0", SYN, False),
        ("tcp[tcpflags] & (tcp-rst|tcp-fin) != 0", tcp(f"{OUT} FA"), True),
        ("host 192.168.1.11", SYN, True),
        ("src host 198.51.100.10", SYN, False),
        ("dst net 198.51.100.0/24 and not port http", SYN, False),
        ("dst net 198.51.100.0/24 and not port http", PING, True),
        ("port ssh or http or https", SYN, True),
        ("tcp portrange 79-81", SYN, True),
        ("icmp[icmptype] = icmp-echo", PING, True),
        ("icmp[icmptype] = icmp-echo", ERROR, False),
        ("icmp[icmptype] == icmp-unreach", ERROR, True),
        (r"ip proto \udp", QUERY, True),
        ("ip proto 47", QUERY, False),
    ],
)
def test_packets_match(text: str, frame: bytes, expected: bool) -> None:
    assert matches(text, frame) is expected


@pytest.mark.parametrize("outbound", [True, False])
def test_the_direction_is_part_of_the_language(outbound: bool) -> None:
    assert matches("outbound", SYN, outbound=outbound) is outbound
    assert matches("inbound", SYN, outbound=outbound) is not outbound
    assert matches("tcp port 80 and outbound", SYN, outbound=outbound) is outbound


def test_lengths_are_those_pppd_would_see() -> None:
    assert matches("len = 44", SYN)
    assert matches("greater 44 and less 44", SYN)
    assert matches("len = 65535", udp("1.2.3.4:5 > 6.7.8.9:10", bytes(65531 - 28)))


def test_a_packet_that_ends_before_what_is_looked_at_does_not_match() -> None:
    assert not matches("tcp[100] = 0", SYN)
    assert not matches("not tcp[100] = 1", SYN)
    assert not compile_filter("udp")(b"", outbound=True)


def test_later_fragments_have_no_ports() -> None:
    first, later, *_ = fragments(udp("192.168.1.11:5000 > 198.51.100.53:53", bytes(40)), 16)
    assert matches("udp port 53", first)
    assert not matches("udp port 53", later)
    assert matches("udp and dst host 198.51.100.53", later)


@pytest.mark.parametrize(
    ("text", "clause"),
    [
        ("udp port", "syntax error, see pcap-filter(7)"),
        ("tcp[tcpflags", "syntax error, see pcap-filter(7)"),
        ("port 99999", "illegal port number 99999 > 65535"),
        ("port nosuch", "unknown port 'nosuch'"),
        ("proto nosuch", "unknown ip proto 'nosuch'"),
        ("net 10.0.0.1/8", 'non-network bits set in "10.0.0.1/8"'),
        ("host 300.1.1.1", "invalid IPv4 address '300.1.1.1'"),
        ("tcp and udp", "expression rejects all packets"),
        ("ip broadcast", "netmask not known, so 'ip broadcast' not supported"),
        ("gateway 10.0.0.1", "'gateway' requires a name"),
        ("port 80 # web", "'#' has no meaning, see pcap-filter(7)"),
        ("port 80\0 or tcp", r"'\x00' has no meaning, see pcap-filter(7)"),
        ("port\u00a080", r"'\xa0' has no meaning, see pcap-filter(7)"),
        ("port \u0661", "'\u0661' has no meaning, see pcap-filter(7)"),
        ("tcp or " * 143, "is longer than 1000 characters; write several rules"),
    ],
)
def test_a_mistake_is_told_in_one_clause(text: str, clause: str) -> None:
    with pytest.raises(ValueError, match=r"^") as caught:
        compile_filter(text)
    assert str(caught.value) == clause


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("host mail", "mail"),
        ("mail", "mail"),
        ("src mail", "mail"),
        ("dst host www.example.net", "www.example.net"),
        ("net office", "office"),
        ("gateway mail", "mail"),
        ("udp host localhost", "localhost"),
        ("not (tcp or mail)", "mail"),
        ("port http or src http", "http"),
        ("port http or tcp or https", "https"),
        ("port http and len > 5 or https", "https"),
        ("port 80 or tcp[0] = 1 or https", "https"),
        ("port (http) && host (https)", "https"),
        ("port http or less 100 or https", "https"),
        ("port http & https", "https"),
        ("host 1.2.3.4.5", "1.2.3.4.5"),
        ("host 0x1G", "0x1G"),
        (r"host \tcp", r"\tcp"),
        (r"\mail", r"\mail"),
        ("udp prt 53", "prt"),
        ("PORT 80", "PORT"),
        ("decnet host mail", "decnet"),
    ],
)
def test_what_may_be_a_name_is_never_looked_up(text: str, name: str) -> None:
    with pytest.raises(ValueError, match=r"could raise the line$") as caught:
        compile_filter(text)
    assert str(caught.value).startswith(f"{name!r} is no word for IP packets and no address;")


@pytest.mark.parametrize(
    "text",
    [
        "port http or https",
        "src or dst port (http or https) and not smtp",
        "port http || 8080 || https && ! domain",
        r"proto \tcp or \udp",
        "portrange http-https",
        "host 192.168.1.1 or 192.168.1.2 and port ssh",
        "net 10 or 172.16 or 192.168.1",
        "net 10.0.0.0 mask 255.0.0.0",
        "not ip6 and\n\tnot arp",
        "ppp[0] = 1",
        "((ip[2:2] - ((ip[0]&0xf)<<2)) - ((tcp[12]&0xf0)>>2)) != 0",
    ],
)
def test_names_of_services_and_protocols_are_known_here(text: str) -> None:
    assert repr(compile_filter(text)) == f"<filter {text!r}>"


def test_long_filters_take_their_time_but_come_to_an_end() -> None:
    ports = " or ".join(str(port) for port in range(1, 140))
    assert matches(f"port {ports}", SYN)


@pytest.fixture
def without_libpcap(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(filters, "_NAMES", ("libpcap.so.none", "libpcap.so.neither"))
    filters._library.cache_clear()
    yield
    filters._library.cache_clear()


@pytest.mark.usefixtures("without_libpcap")
def test_a_missing_library_is_told_with_what_to_install() -> None:
    with pytest.raises(ValueError, match=r"^needs libpcap; install libpcap0\.8$"):
        compile_filter("tcp")


def test_the_library_is_found_once_and_not_before_it_is_needed() -> None:
    filters._library.cache_clear()
    compile_filter("tcp")
    compile_filter("udp")
    assert filters._library.cache_info()[:2] == (1, 1)


def test_a_program_is_freed_with_its_filter(monkeypatch: pytest.MonkeyPatch) -> None:
    real, freed = filters._library(), []

    class Watched:
        def __getattr__(self, name: str) -> object:
            return getattr(real.compiler, name)

        def pcap_freecode(self, program: filters._Program) -> None:
            freed.append(program)
            real.compiler.pcap_freecode(program)

    library = filters._Library(Watched(), real.runner)  # type: ignore[arg-type]
    monkeypatch.setattr(filters, "_library", lambda: library)
    kept, dropped = compile_filter("tcp"), compile_filter("udp")
    del dropped
    gc.collect()
    assert len(freed) == 1
    assert freed[0].length == 0, "libpcap has cleared it"
    assert kept(SYN[VNET_LENGTH:], outbound=True)


def test_another_thread_may_use_a_filter() -> None:
    web, answers = compile_filter("tcp port 80"), []

    def use() -> None:
        for frame in (SYN, QUERY) * 100:
            answers.append(web(frame[VNET_LENGTH:], outbound=True))

    thread = threading.Thread(target=use)
    thread.start()
    thread.join()
    assert answers == [True, False] * 100
