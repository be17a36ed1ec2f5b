"""The policy: the first rule decides, and what the shipped rules say of everyday packets."""

import pytest

from router.host.filters import compile_filter
from router.link.policy import DEFAULT_RULES, EVERYTHING_ELSE, Policy
from router.link.types import Action, PolicyRule
from tests.lab.packets import VNET_LENGTH, error, fragments, ping, tcp, udp

ALICE, WWW = "192.168.1.11", "198.51.100.10"
WAY = f"{ALICE}:40000 > {WWW}"
BACK = f"{WWW}:40000 > {ALICE}"


def rule(text: str, action: Action, hold_s: float | None = None) -> PolicyRule:
    return PolicyRule(text, compile_filter(text), action, hold_s, f"policy {text}")


def choose(policy: Policy, frame: bytes, *, outbound: bool = True) -> PolicyRule:
    return policy.choose(frame[VNET_LENGTH:], outbound=outbound)


@pytest.fixture(scope="module")
def shipped() -> Policy:
    return Policy([rule(each.text, each.action, each.hold_s) for each in DEFAULT_RULES])


ACCEPTED, IGNORED = (Action.ACCEPT, None), (Action.IGNORE, None)
SHORTLY = (Action.ACCEPT, 30.0)


@pytest.mark.parametrize(
    ("frame", "verdict"),
    [
        (tcp(f"{WAY}:80 S"), ACCEPTED),
        (tcp(f"{WAY}:80 SEC"), ACCEPTED),
        (tcp(f"{WAY}:80 PA", b"GET"), ACCEPTED),
        (tcp(f"{WAY}:80 A"), ACCEPTED),
        (tcp(f"{WAY}:80 R"), IGNORED),
        (tcp(f"{WAY}:80 RA"), IGNORED),
        (tcp(f"{WAY}:80 FA"), IGNORED),
        (tcp(f"{WAY}:80 FPA", b"bye"), IGNORED),
        (tcp(f"{WAY}:80 SF"), ACCEPTED),
        (tcp(f"{WAY}:445 S"), IGNORED),
        (tcp(f"{WAY}:139 S"), IGNORED),
        (tcp(f"{WAY}:53 S"), SHORTLY),
        (tcp(f"{ALICE}:445 > {WWW}:40000 S"), ACCEPTED),
        (udp(f"{WAY}:53", b"question"), SHORTLY),
        (udp(f"{ALICE}:1900 > {WWW}:53", b"question"), SHORTLY),
        (udp(f"{ALICE}:123 > {WWW}:123", bytes(48)), IGNORED),
        (udp(f"{WAY}:123", bytes(48)), IGNORED),
        (udp(f"{ALICE}:137 > {WWW}:137"), IGNORED),
        (udp(f"{ALICE}:138 > {WWW}:138"), IGNORED),
        (udp(f"{ALICE}:5353 > {WWW}:5353"), IGNORED),
        (udp(f"{WAY}:5355"), IGNORED),
        (udp(f"{WAY}:1900"), IGNORED),
        (udp(f"{WAY}:3702"), IGNORED),
        (udp(f"{WAY}:4500"), ACCEPTED),
        (tcp(f"{WAY}:5353 S"), ACCEPTED),
        (ping(f"{ALICE} > {WWW}"), SHORTLY),
        (ping(f"{ALICE} > {WWW}", type_=0), ACCEPTED),
        (ping(f"{ALICE} > {WWW}", type_=13), ACCEPTED),
        (error(ALICE, udp(f"{BACK}:9"), "port-unreachable"), IGNORED),
        (error(ALICE, udp(f"{BACK}:9"), "time-exceeded"), IGNORED),
        (error(ALICE, udp(f"{BACK}:9"), "parameter-problem"), IGNORED),
        (error(ALICE, udp(f"{BACK}:9"), "source-quench"), IGNORED),
        (error(ALICE, udp(f"{BACK}:9"), "redirect"), IGNORED),
    ],
)
def test_the_shipped_rules(
    shipped: Policy, frame: bytes, verdict: tuple[Action, float | None]
) -> None:
    chosen = choose(shipped, frame)
    assert (chosen.action, chosen.hold_s) == verdict
    assert (chosen is EVERYTHING_ELSE) is (verdict == ACCEPTED)


def test_no_shipped_rule_is_idle_or_without_a_reason() -> None:
    assert len({each.text for each in DEFAULT_RULES}) == len(DEFAULT_RULES)
    for each in DEFAULT_RULES:
        assert each.why
        assert (each.action is Action.IGNORE) is (each.hold_s is None)


def test_the_first_rule_that_matches_decides() -> None:
    web, tcp_, all_ = (
        rule("tcp port 80", Action.REJECT),
        rule("tcp", Action.KEEPUP, 5.0),
        rule("", Action.IGNORE),
    )
    policy = Policy([web, tcp_, all_])
    assert choose(policy, tcp(f"{WAY}:80 S")) is web
    assert choose(policy, tcp(f"{WAY}:81 S")) is tcp_
    assert choose(policy, udp(f"{WAY}:80")) is all_
    assert choose(Policy([tcp_, web]), tcp(f"{WAY}:80 S")) is tcp_


def test_what_no_rule_speaks_of_is_accepted_for_the_idle_timeout() -> None:
    chosen = choose(Policy([rule("udp", Action.IGNORE)]), tcp(f"{WAY}:80 S"))
    assert chosen is EVERYTHING_ELSE is choose(Policy([]), ping(f"{ALICE} > {WWW}"))
    assert (chosen.action, chosen.hold_s, chosen.origin) == (Action.ACCEPT, None, "default")
    assert str(chosen) == "accept everything"
    assert chosen.matches(b"", outbound=False)


def test_a_rule_may_be_about_one_direction() -> None:
    inbound = rule("inbound", Action.IGNORE)
    policy = Policy([inbound])
    assert choose(policy, tcp(f"{BACK}:25 S"), outbound=False) is inbound
    assert choose(policy, tcp(f"{BACK}:25 S"), outbound=True) is EVERYTHING_ELSE


def test_later_fragments_are_known_by_addresses_and_protocols_only() -> None:
    first, *_, last = fragments(udp(f"{WAY}:123", bytes(100)), 48)
    time, to_www = rule("udp port 123", Action.IGNORE), rule(f"dst host {WWW}", Action.KEEPUP)
    assert choose(Policy([time]), first) is time
    assert choose(Policy([time]), last) is EVERYTHING_ELSE
    assert choose(Policy([time, to_www]), last) is to_www
