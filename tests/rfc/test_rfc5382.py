"""RFC 5382: NAT behavioural requirements for TCP. The ledger is rfc5382.txt."""

from collections.abc import Callable

import pytest

from router.nat.types import FilteringBehavior, Limits, MappingBehavior, Timeouts, UnsolicitedSyn
from tests.lab.network import Router
from tests.lab.packets import error, tcp

Build = Callable[..., Router]

W1, W2 = "198.51.100.10", "198.51.100.20"
L1, L2 = "192.168.1.11", "192.168.1.12"
N = "203.0.113.2"
EIF = FilteringBehavior.ENDPOINT_INDEPENDENT
ADF = FilteringBehavior.ADDRESS_DEPENDENT
APDF = FilteringBehavior.ADDRESS_AND_PORT_DEPENDENT
ESTABLISHED_S, TRANSITORY_S = 7440, 240


def connect(router: Router, internal: str = f"{L1}:4000", remote: str = f"{W1}:80") -> str:
    """Open a connection from inside, from sequence numbers 1000 and 5000; return its outer end."""
    (syn,) = router.lan(f"tcp {internal} > {remote} S", seq=1000)
    external = syn.source
    assert router.wan(f"tcp {remote} > {external} SA", seq=5000, ack=1001) == [
        f"lan tcp {remote} > {internal} SA"
    ]
    assert router.lan(f"tcp {internal} > {remote} A", seq=1001, ack=5001) == [
        f"wan tcp {external} > {remote} A"
    ]
    return external


def passes_out(
    router: Router, flags: str, *, seq: int = 1001, ack: int = 5001, data: bytes = b""
) -> None:
    assert router.lan(f"tcp {L1}:4000 > {W1}:80 {flags}", data, seq=seq, ack=ack) == [
        f"wan tcp {N}:4000 > {W1}:80 {flags}"
    ]


def passes_in(
    router: Router, flags: str, *, seq: int = 5001, ack: int = 1001, data: bytes = b""
) -> None:
    assert router.wan(f"tcp {W1}:80 > {N}:4000 {flags}", data, seq=seq, ack=ack) == [
        f"lan tcp {W1}:80 > {L1}:4000 {flags}"
    ]


def is_open(router: Router, remote: str = f"{W1}:80", external: str = f"{N}:4000") -> bool:
    """Whether a segment of the remote still finds its session."""
    return bool(router.wan(f"tcp {remote} > {external} A", seq=5001, ack=1001))


# REQ-1, REQ-7: mapping

REMOTES = (f"{W1}:80", f"{W1}:81", f"{W2}:80")


@pytest.mark.parametrize("host", [L1, L2], ids=["preserved", "collided"])
def test_one_external_endpoint_for_all_remotes(router: Router, host: str) -> None:
    for remote in REMOTES:
        router.lan(f"tcp {L1}:4000 > {remote} S")
    sources = {router.lan(f"tcp {host}:4000 > {remote} S")[0].source for remote in REMOTES}
    assert len(sources) == 1
    assert (sources == {f"{N}:4000"}) == (host == L1)


@pytest.mark.parametrize(
    ("mapping", "shared"),
    [
        (MappingBehavior.ENDPOINT_INDEPENDENT, [0, 0, 0]),
        (MappingBehavior.ADDRESS_DEPENDENT, [0, 0, 1]),
        (MappingBehavior.ADDRESS_AND_PORT_DEPENDENT, [0, 1, 2]),
    ],
    ids=["independent", "address", "address-and-port"],
)
def test_mapping_behaviour_is_as_configured(
    build: Build, mapping: MappingBehavior, shared: list[int]
) -> None:
    router = build(mapping=mapping)
    sources = [router.lan(f"tcp {L1}:4000 > {remote} S")[0].source for remote in REMOTES]
    groups = list(dict.fromkeys(sources))
    assert [groups.index(source) for source in sources] == shared


def test_no_port_is_overloaded(router: Router) -> None:
    hosts = [f"192.168.1.{n}" for n in range(2, 40)]
    sources = [router.lan(f"tcp {host}:4000 > {W1}:80 S")[0].source for host in hosts]
    for n, host in enumerate(hosts, start=1):
        sources += [router.lan(f"tcp {host}:4001 > {W2}:{n} S")[0].source]
    assert len(set(sources)) == len(sources)


def test_answers_reach_the_host_that_asked(router: Router) -> None:
    external = {host: router.lan(f"tcp {host}:4000 > {W1}:80 S")[0].source for host in (L1, L2)}
    for host, source in external.items():
        assert router.wan(f"tcp {W1}:80 > {source} SA") == [f"lan tcp {W1}:80 > {host}:4000 SA"]


# REQ-2: all valid sequences of packets


def test_a_whole_connection(router: Router) -> None:
    connect(router)
    passes_out(router, "PA", data=b"GET /")
    passes_in(router, "PA", ack=1006, data=b"200 OK")
    passes_out(router, "FA", seq=1006, ack=5007)
    passes_in(router, "A", seq=5007, ack=1007)
    passes_in(router, "FA", seq=5007, ack=1007)
    passes_out(router, "A", seq=1007, ack=5008)
    router.wait(TRANSITORY_S + 1)
    assert router.sessions == []


def test_simultaneous_open(build: Build) -> None:
    router = build(filtering=ADF)
    passes_out(router, "S", seq=1000, ack=0)
    passes_in(router, "S", seq=5000, ack=0)
    passes_out(router, "SA", seq=1000, ack=5001)
    passes_in(router, "SA", seq=5000, ack=1001)
    passes_out(router, "A")
    router.wait(ESTABLISHED_S - 1)
    assert is_open(router)


def test_simultaneous_open_when_the_inbound_syn_came_first(build: Build) -> None:
    router = build(unsolicited_syn=UnsolicitedSyn.UNREACHABLE)
    assert router.wan(f"tcp {W1}:80 > {N}:4000 S", seq=5000) == []
    assert router.wait(3) == []
    passes_out(router, "S", seq=1000, ack=0)
    passes_in(router, "S", seq=5000, ack=0)
    passes_out(router, "SA", seq=1000, ack=5001)
    passes_in(router, "SA", seq=5000, ack=1001)
    assert router.wait(60) == []
    passes_out(router, "PA", data=b"hello")


def test_a_half_closed_connection_carries_data_for_hours(router: Router) -> None:
    connect(router)
    passes_out(router, "FA")
    passes_in(router, "A", ack=1002)
    for hour in range(3):
        router.wait(3600)
        passes_in(router, "PA", seq=5001 + hour, ack=1002, data=b"x")
        passes_out(router, "A", seq=1002, ack=5002 + hour)
    passes_in(router, "FA", seq=5004, ack=1002)
    passes_out(router, "A", seq=1002, ack=5005)


def test_a_connection_half_closed_from_outside_carries_data_for_hours(router: Router) -> None:
    connect(router)
    passes_in(router, "FA")
    passes_out(router, "A", ack=5002)
    for hour in range(3):
        router.wait(3600)
        passes_out(router, "PA", seq=1001 + hour, ack=5002, data=b"x")
        passes_in(router, "A", seq=5002, ack=1002 + hour)
    passes_out(router, "FA", seq=1004, ack=5002)
    passes_in(router, "A", seq=5002, ack=1005)


def test_a_late_fin_and_its_acknowledgment_pass(router: Router) -> None:
    connect(router)
    passes_out(router, "FA")
    passes_in(router, "FA", ack=1002)
    router.wait(TRANSITORY_S - 1)
    passes_out(router, "A", seq=1002, ack=5002)
    passes_in(router, "FA", ack=1002)
    passes_out(router, "FA", ack=5002)


@pytest.mark.parametrize("first_end", ["fin", "rst"])
def test_reconnecting_on_the_same_ports(router: Router, first_end: str) -> None:
    external = connect(router)
    if first_end == "fin":
        passes_out(router, "FA")
        passes_in(router, "FA", ack=1002)
        passes_out(router, "A", seq=1002, ack=5002)
    else:
        passes_in(router, "R")
    router.wait(30)
    assert connect(router) == external
    router.wait(ESTABLISHED_S - 1)
    passes_in(router, "PA", data=b"still here")


def test_a_reconnection_by_a_host_that_lost_its_state(router: Router) -> None:
    external = connect(router)
    router.wait(300)
    assert connect(router) == external


def test_sequence_numbers_wrap(router: Router) -> None:
    connect(router)
    passes_out(router, "PA", seq=0xFFFFFFFF, data=b"four")
    passes_in(router, "PA", seq=0xFFFFFFFE, ack=3, data=b"four")
    passes_out(router, "A", seq=3, ack=2)


def test_windows_beyond_64_kilobytes(router: Router) -> None:
    scale = [("WScale", 14)]
    router.lan(f"tcp {L1}:4000 > {W1}:80 S", seq=1000, tcp_options=scale)
    router.wan(f"tcp {W1}:80 > {N}:4000 SA", seq=5000, ack=1001, tcp_options=scale)
    passes_out(router, "A")
    passes_in(router, "PA", seq=5001 + (1 << 29), data=b"far ahead")
    passes_out(router, "PA", seq=1001 + (1 << 29), data=b"far ahead")


def test_keep_alives_keep_a_connection(router: Router) -> None:
    connect(router)
    for _ in range(5):
        router.wait(7200)
        passes_out(router, "A", seq=1000)
        passes_in(router, "A")


def test_a_peer_keeps_a_connection_alive_too(router: Router) -> None:
    connect(router)
    for _ in range(5):
        router.wait(7200)
        passes_in(router, "A", seq=5000)


def test_a_retransmitted_syn_passes(router: Router) -> None:
    for _ in range(5):
        passes_out(router, "S", seq=1000, ack=0)
        router.wait(100)


def test_a_connection_older_than_the_router_is_picked_up(router: Router) -> None:
    passes_out(router, "PA", data=b"hello")
    passes_in(router, "A", ack=1006)
    router.wait(ESTABLISHED_S - 1)
    assert is_open(router)


@pytest.mark.parametrize("flags", ["SA", "R", "RA", "FA", ".", "FPU", "SF", "SR"])
def test_what_cannot_begin_a_connection_opens_no_session(router: Router, flags: str) -> None:
    assert router.lan(f"tcp {L1}:4000 > {W1}:80 {flags}") == []
    assert router.sessions == []


# REQ-3: filtering


@pytest.mark.parametrize(
    ("filtering", "expected"),
    [
        (EIF, {f"{W1}:81": True, f"{W2}:80": True}),
        (ADF, {f"{W1}:81": True, f"{W2}:80": False}),
        (APDF, {f"{W1}:81": False, f"{W2}:80": False}),
    ],
    ids=["eif", "adf", "apdf"],
)
def test_filtering_is_as_configured(
    build: Build, filtering: FilteringBehavior, expected: dict[str, bool]
) -> None:
    router = build(filtering=filtering)
    connect(router)
    for remote, passes in expected.items():
        seen = router.wan(f"tcp {remote} > {N}:4000 S")
        assert seen == ([f"lan tcp {remote} > {L1}:4000 S"] if passes else []), remote


def test_an_admitted_connection_becomes_established(build: Build) -> None:
    router = build(filtering=EIF)
    connect(router)
    router.wan(f"tcp {W2}:80 > {N}:4000 S", seq=1)
    router.lan(f"tcp {L1}:4000 > {W2}:80 SA", seq=9, ack=2)
    router.wan(f"tcp {W2}:80 > {N}:4000 A", seq=2, ack=10)
    router.wait(ESTABLISHED_S - 1)
    assert is_open(router, f"{W2}:80")


@pytest.mark.parametrize("flags", ["SA", "A", "PA", "FA", "R", "RA", "."])
def test_only_a_syn_begins_a_connection_from_outside(build: Build, flags: str) -> None:
    router = build(filtering=EIF)
    connect(router)
    assert router.wan(f"tcp {W2}:80 > {N}:4000 {flags}") == []


# REQ-4: unsolicited SYNs


def test_an_unsolicited_syn_is_answered_with_silence(router: Router) -> None:
    assert router.wan(f"tcp {W1}:80 > {N}:4000 S") == []
    assert router.wait(60) == []


def test_an_unsolicited_syn_is_answered_after_six_seconds_if_configured(build: Build) -> None:
    router = build(unsolicited_syn=UnsolicitedSyn.UNREACHABLE)
    syn = tcp(f"{W1}:80 > {N}:4000 S", seq=77)
    assert router.wan(syn) == []
    assert router.wait(5.9) == []
    (seen,) = router.wait(0.2)
    assert seen == f"wan port-unreachable {N} > {W1} (tcp {W1}:80 > {N}:4000 S)"
    assert seen.quote == syn[10:]
    assert router.wait(60) == []


def test_a_retransmitted_unsolicited_syn_is_answered_once(build: Build) -> None:
    router = build(unsolicited_syn=UnsolicitedSyn.UNREACHABLE)
    router.wan(f"tcp {W1}:80 > {N}:4000 S")
    router.wait(3)
    router.wan(f"tcp {W1}:80 > {N}:4000 S")
    assert len(router.wait(3.1)) == 1
    assert router.wait(60) == []


def test_a_filtered_syn_is_an_unsolicited_one(build: Build) -> None:
    router = build(unsolicited_syn=UnsolicitedSyn.UNREACHABLE, filtering=APDF)
    connect(router)
    assert router.wan(f"tcp {W2}:80 > {N}:4000 S") == []
    assert router.wait(5.9) == []
    assert router.wait(0.2) == [f"wan port-unreachable {N} > {W2} (tcp {W2}:80 > {N}:4000 S)"]
    assert is_open(router)


def test_held_syns_are_bounded(build: Build) -> None:
    router = build(unsolicited_syn=UnsolicitedSyn.UNREACHABLE, limits=Limits(unsolicited_syns=10))
    for port in range(1, 100):
        router.wan(f"tcp {W1}:{port} > {N}:4000 S")
    assert len(router.wait(7)) == 10


@pytest.mark.parametrize("address", [None, "203.0.113.77"])
def test_a_syn_to_a_former_line_address_is_never_answered(
    build: Build, address: str | None
) -> None:
    router = build(unsolicited_syn=UnsolicitedSyn.UNREACHABLE)
    router.wan(f"tcp {W1}:80 > {N}:4000 S")
    router.wait(3)
    router.line_down()
    if address:
        router.line_up(address)
    assert router.wait(60) == []


@pytest.mark.parametrize("flags", ["SA", "A", "FA", "R", "PA", "."])
def test_other_unsolicited_segments_are_never_answered(build: Build, flags: str) -> None:
    router = build(unsolicited_syn=UnsolicitedSyn.UNREACHABLE)
    assert router.wan(f"tcp {W1}:80 > {N}:4000 {flags}") == []
    assert router.wait(60) == []


def test_an_unsolicited_hairpin_syn_is_answered_inside(build: Build) -> None:
    router = build(unsolicited_syn=UnsolicitedSyn.UNREACHABLE)
    assert router.lan(f"tcp {L1}:4000 > {N}:81 S") == []
    seen = router.wait(10)
    assert [packet for packet in seen if packet.side.name == "WAN"] == []
    assert seen in ([], [f"lan port-unreachable {N} > {L1} (tcp {L1}:4000 > {N}:81 S)"])


# REQ-5: timers


def test_an_established_connection_lives_for_two_hours_and_four_minutes(router: Router) -> None:
    connect(router)
    router.wait(ESTABLISHED_S - 1)
    assert is_open(router)


def test_an_established_connection_ends_when_idle_for_longer(router: Router) -> None:
    connect(router)
    router.wait(ESTABLISHED_S + 1)
    assert not is_open(router)


HALF = {
    "syn": [("out", "S", 1000, 0)],
    "closing": [("out", "FA", 1001, 5001), ("in", "FA", 5001, 1002)],
    "closing-from-outside": [("in", "FA", 5001, 1001), ("out", "FA", 1001, 5002)],
    "reset-from-inside": [("out", "R", 1001, 5001)],
    "reset-from-outside": [("in", "R", 5001, 1001)],
}


def reach(router: Router, stage: str) -> None:
    if stage != "syn":
        connect(router)
    for way, flags, seq, ack in HALF[stage]:
        (passes_out if way == "out" else passes_in)(router, flags, seq=seq, ack=ack)


@pytest.mark.parametrize("stage", HALF)
def test_an_opening_or_closing_connection_lives_for_four_minutes(
    router: Router, stage: str
) -> None:
    reach(router, stage)
    router.wait(TRANSITORY_S - 1)
    assert is_open(router)


@pytest.mark.parametrize("stage", HALF)
def test_an_opening_or_closing_connection_ends_after_four_minutes(
    router: Router, stage: str
) -> None:
    reach(router, stage)
    router.wait(TRANSITORY_S + 1)
    assert not is_open(router)
    assert router.mappings == []


def test_a_half_opened_inbound_connection_has_the_short_timer(build: Build) -> None:
    router = build(forwards=f"tcp 80 -> {L1}")
    router.wan(f"tcp {W1}:80 > {N}:80 S")
    router.wait(TRANSITORY_S - 1)
    assert len(router.sessions) == 1
    router.wait(2)
    assert router.sessions == []


def test_the_timers_are_configurable(build: Build) -> None:
    router = build(timeouts=Timeouts(tcp_established=50, tcp_transitory=20))
    connect(router)
    router.wait(49)
    assert is_open(router)
    router.wait(49)
    passes_out(router, "R")
    router.wait(21)
    assert not is_open(router)


# REQ-6: application gateways


def test_an_ftp_port_command_is_not_touched(router: Router) -> None:
    connect(router, remote=f"{W1}:21")
    command = b"PORT 192,168,1,11,15,161\r\n"
    (seen,) = router.lan(f"tcp {L1}:4000 > {W1}:21 PA", command, seq=1001, ack=5001)
    assert seen.body[20:] == command


# REQ-8: hairpinning


def hairpin(router: Router, client: str, target: str, server: str) -> str:
    """A connection of `client` to the external `target`, which is `server`; how it is seen."""
    (syn,) = router.lan(f"tcp {client} > {target} S", seq=1)
    external = syn.source
    assert syn == f"lan tcp {external} > {server} S"
    answer = router.lan(f"tcp {server} > {external} SA", seq=5, ack=2)
    assert answer == [f"lan tcp {target} > {client} SA"]
    assert router.lan(f"tcp {client} > {target} A", seq=2, ack=6) == [
        f"lan tcp {external} > {server} A"
    ]
    return external


def test_a_hairpin_to_a_mapping(build: Build) -> None:
    router = build(filtering=EIF)
    target = connect(router)
    assert hairpin(router, f"{L2}:5000", target, f"{L1}:4000") == f"{N}:5000"


def test_a_hairpin_to_a_forward(build: Build) -> None:
    router = build(forwards=f"tcp 80 -> {L1}:8080")
    assert hairpin(router, f"{L2}:5000", f"{N}:80", f"{L1}:8080") == f"{N}:5000"


def test_a_hairpin_of_a_server_to_its_own_forward(build: Build) -> None:
    router = build(forwards=f"tcp 80 -> {L1}:8080")
    assert hairpin(router, f"{L1}:5000", f"{N}:80", f"{L1}:8080") == f"{N}:5000"


def test_two_hosts_open_to_each_other(build: Build) -> None:
    router = build(filtering=ADF)
    first = router.lan(f"tcp {L1}:4000 > {W1}:80 S")[0].source
    second = router.lan(f"tcp {L2}:4000 > {W1}:80 S")[0].source
    router.lan(f"tcp {L1}:4000 > {second} S")
    assert router.lan(f"tcp {L2}:4000 > {first} S") == [f"lan tcp {second} > {L1}:4000 S"]
    assert router.lan(f"tcp {L1}:4000 > {second} SA") == [f"lan tcp {first} > {L2}:4000 SA"]


# REQ-9, REQ-10: ICMP


@pytest.mark.parametrize(
    "name", ["host-unreachable", "port-unreachable", "fragmentation-needed", "prohibited"]
)
def test_icmp_errors_about_a_connection_are_translated(router: Router, name: str) -> None:
    connect(router)
    (sent,) = router.lan(f"tcp {L1}:4000 > {W1}:80 PA", b"data", seq=1001, ack=5001)
    assert router.wan(error("192.0.2.1", sent.frame, name, mtu=1280)) == [
        f"lan {name} 192.0.2.1 > {L1} (tcp {L1}:4000 > {W1}:80 PA)"
    ]


@pytest.mark.parametrize(
    "name",
    [
        "net-unreachable", "host-unreachable", "protocol-unreachable", "port-unreachable",
        "fragmentation-needed", "prohibited", "source-quench", "redirect", "time-exceeded",
        "parameter-problem",
    ],
)  # fmt: skip
@pytest.mark.parametrize("stage", ["opening", "open"])
def test_no_icmp_error_ends_a_connection(router: Router, name: str, stage: str) -> None:
    (sent,) = router.lan(f"tcp {L1}:4000 > {W1}:80 S", seq=1000)
    if stage == "open":
        connect(router)
    for _ in range(3):
        router.wan(error("192.0.2.1", sent.frame, name, mtu=1280))
    passes_in(router, "SA", seq=5000)
    passes_out(router, "A")
    router.wait(ESTABLISHED_S - 1)
    passes_in(router, "PA", data=b"data")


# Resets and SYNs that a stranger guessed (RFC 5961)


@pytest.mark.parametrize("flags", ["R", "RA", "S", "SA"])
def test_a_blind_segment_does_not_shorten_a_connection(router: Router, flags: str) -> None:
    connect(router)
    router.wan(f"tcp {W1}:80 > {N}:4000 {flags}", seq=0x70000000, ack=0x70000000)
    router.wait(ESTABLISHED_S - 1)
    passes_in(router, "PA", data=b"data")


def test_blind_segments_do_not_hold_a_connection(router: Router) -> None:
    connect(router)
    for _ in range(8):
        router.wait(1000)
        for flags in ("R", "S"):
            router.wan(f"tcp {W1}:80 > {N}:4000 {flags}", seq=0x70000000)
    assert not is_open(router)


def test_a_blind_reset_outside_the_window_of_a_cached_flow(router: Router) -> None:
    connect(router)
    for n in range(5):
        passes_in(router, "A", seq=5001 + n)
        passes_out(router, "A", ack=5002 + n)
    passes_in(router, "R", seq=5001)
    router.wait(TRANSITORY_S + 10)
    assert is_open(router)
    passes_in(router, "R", seq=5006)
    router.wait(TRANSITORY_S + 10)
    assert not is_open(router)
