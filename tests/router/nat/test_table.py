"""The session table: indexes that agree, deadlines that move, rows to show."""

import pytest

from router.devices import Verdict
from router.fastpath import Rewrite
from router.nat.table import Direction, Mapping, Session, SessionTable, protocol_name
from router.nat.types import Timeouts
from router.wire.address import Endpoint
from router.wire.ipv4 import PROTO_ICMP, PROTO_TCP, PROTO_UDP

L, N = Endpoint(0xC0A8010B, 4000), Endpoint(0xCB007102, 4000)
W1, W2 = Endpoint(0xC633640A, 53), Endpoint(0xC6336414, 53)
UDP_S = 300.0


def mapping(
    internal: Endpoint = L, external: Endpoint = N, protocol: int = PROTO_UDP, now: float = 100
) -> Mapping:
    key = (protocol, internal, 0, 0)
    return Mapping(key, external, Timeouts(), static=False, refreshed_at=now)


def session(
    of: Mapping, remote: Endpoint = W1, *, now: float = 100, inbound_refreshes: bool = False
) -> Session:
    return Session(
        of,
        remote,
        Rewrite(Verdict.TO_WAN, (of.internal, remote), (of.external, remote), -1),
        Rewrite(Verdict.TO_LAN, (remote, of.external), (remote, of.internal), -1),
        direction=Direction.OUTBOUND,
        inbound_refreshes=inbound_refreshes,
        opened_at=now,
        refreshed_at=now,
        tracker=None,
        permit=Endpoint(remote.address, 0),
    )


def opened(table: SessionTable, *sessions: Session) -> None:
    for each in sessions:
        table.open(each)


def expire(table: SessionTable, now: float) -> list[Session]:
    gone = []
    for each in table.expired(now):
        table.close(each)
        gone.append(each)
    return gone


def test_a_session_is_found_from_both_sides() -> None:
    table, shared = SessionTable(), mapping()
    first, second = session(shared, W1), session(shared, W2)
    opened(table, first, second)
    assert table.by_internal(PROTO_UDP, L, W1) is first
    assert table.by_external(PROTO_UDP, N, W2) is second
    assert table.by_internal(PROTO_TCP, L, W1) is None
    assert table.by_internal(PROTO_UDP, N, W1) is None
    assert table.mapping(shared.key) is table.mapping_at(PROTO_UDP, N) is shared
    assert (len(table), table.mapping_count, table.count_of(L.address)) == (2, 1, 2)
    assert list(table.sessions()) == [first, second]
    assert list(table.mappings()) == [shared]


def test_a_mapping_goes_with_its_last_session() -> None:
    table, shared = SessionTable(), mapping()
    first, second = session(shared, W1), session(shared, W2)
    opened(table, first, second)
    assert table.close(first) is False
    assert table.mapping(shared.key) is shared
    assert table.close(second) is True
    assert table.mapping(shared.key) is table.mapping_at(PROTO_UDP, N) is None
    assert (len(table), table.mapping_count, table.count_of(L.address)) == (0, 0, 0)
    assert table.by_internal(PROTO_UDP, L, W1) is table.by_external(PROTO_UDP, N, W1) is None


def test_a_mapping_never_displaces_another() -> None:
    table, first = SessionTable(), mapping()
    second = mapping(external=Endpoint(N.address, 80))
    one, other = session(first, W1), session(second, W2)
    opened(table, one, other)
    assert table.mapping(first.key) is first
    assert table.mapping_at(PROTO_UDP, second.external) is second
    assert table.close(other)
    assert table.mapping(first.key) is first


def test_without_ports_a_mapping_is_not_found_by_its_external_end() -> None:
    table = SessionTable()
    gre = mapping(Endpoint(L.address, 0), Endpoint(N.address, 0), 47)
    opened(table, session(gre, Endpoint(W1.address, 0)))
    assert table.mapping_at(47, gre.external) is None
    assert table.by_external(47, gre.external, Endpoint(W1.address, 0)) is not None


def test_a_permit_lasts_as_long_as_a_session_that_has_it() -> None:
    table, shared = SessionTable(), mapping()
    same_host = Endpoint(W1.address, 54)
    first, second = session(shared, W1), session(shared, same_host)
    opened(table, first, second)
    permit = Endpoint(W1.address, 0)
    assert permit not in shared.permitted
    for each in (first, second, second):
        table.grant(each)
    table.close(first)
    assert permit in shared.permitted
    table.close(second)
    assert permit not in shared.permitted


def test_idle_sessions_expire_at_their_deadline() -> None:
    table, shared = SessionTable(), mapping()
    early, late = session(shared, W1, now=100), session(shared, W2, now=150)
    opened(table, early, late)
    assert table.next_deadline() == 100 + UDP_S
    assert expire(table, 399.9) == []
    assert expire(table, 400) == [early]
    assert table.next_deadline() == 150 + UDP_S
    assert expire(table, 450) == [late]
    assert table.next_deadline() is None


@pytest.mark.parametrize("path", ["slow", "cache"])
def test_activity_moves_the_deadline_when_it_comes(path: str) -> None:
    table = SessionTable()
    active = session(mapping())
    opened(table, active)
    if path == "slow":
        active.refreshed_at = 200
        table.schedule(active)
    else:
        active.outbound.last_used = 200
    assert table.next_deadline() == 400
    assert expire(table, 400) == []
    assert table.next_deadline() == 500
    assert expire(table, 500) == [active]


@pytest.mark.parametrize("refreshes", [False, True])
def test_what_the_cache_passed_inbound_counts_only_where_it_refreshes(refreshes: bool) -> None:
    table = SessionTable()
    active = session(mapping(), inbound_refreshes=refreshes)
    opened(table, active)
    active.inbound.last_used = 200
    assert active.active_at() == (200 if refreshes else 100)


def test_a_deadline_that_came_nearer_is_kept_and_the_older_one_is_stale() -> None:
    table = SessionTable()
    waning = session(mapping())
    opened(table, waning)
    waning.refreshed_at = 20
    table.schedule(waning)
    assert table.next_deadline() == 320
    assert expire(table, 320) == [waning]
    assert expire(table, 1000) == []
    assert table.next_deadline() is None


def test_a_closed_sessions_deadline_is_passed_over() -> None:
    table, shared = SessionTable(), mapping()
    first = session(shared)
    opened(table, first)
    table.close(first)
    assert not first.is_open
    again = session(mapping(), now=200)
    opened(table, again)
    assert again.is_open
    assert expire(table, 400) == []
    assert expire(table, 500) == [again]


@pytest.mark.parametrize(
    ("protocol", "timeout"), [(PROTO_UDP, 300), (PROTO_ICMP, 60), (47, 600), (50, 600)]
)
def test_the_timer_is_the_protocols(protocol: int, timeout: float) -> None:
    assert session(mapping(protocol=protocol)).expires_at() == 100 + timeout


def test_a_mapping_is_as_active_as_its_liveliest_session() -> None:
    table, shared = SessionTable(), mapping(now=100)
    first, second = session(shared, W1), session(shared, W2)
    opened(table, first, second)
    assert shared.active_at() == 100
    shared.cached[W1] = first
    first.outbound.last_used = 250
    assert shared.active_at() == 250
    table.close(first)
    assert shared.active_at() == 250


def test_rows_are_text() -> None:
    table, shared = SessionTable(), mapping()
    only = session(shared)
    opened(table, only)
    only.outbound.packets, only.outbound.bytes = 3, 300
    row = only.row(160)
    assert (row.protocol, row.internal, row.external, row.remote, row.state) == (
        "udp", "192.168.1.11:4000", "203.0.113.2:4000", "198.51.100.10:53", "open",
    )  # fmt: skip
    assert (row.idle_s, row.expires_in_s, row.direction) == (60, 240, "outbound")
    assert (row.packets_out, row.packets_in, row.bytes_out, row.bytes_in) == (3, 0, 300, 0)
    line = shared.row(160)
    assert (line.protocol, line.internal, line.external) == (
        "udp",
        "192.168.1.11:4000",
        "203.0.113.2:4000",
    )
    assert (line.kind, line.sessions, line.expires_in_s) == ("dynamic", 1, 240)


def test_protocols_have_names_or_numbers() -> None:
    assert [protocol_name(number) for number in (1, 6, 17, 47)] == ["icmp", "tcp", "udp", "47"]
