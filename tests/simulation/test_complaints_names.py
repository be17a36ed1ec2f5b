"""Complaints 13 and 14: names are looked up for nobody, and that dials.

What is local is answered by dnsmasq and gets no further (tests/net/test_names.py); here is what
reaches the gate.
"""

import pytest

from router.link.messages import Coming, Ready
from router.link.types import HostRight, Right
from router.reasons import Reason
from router.wire.address import parse_address
from tests.lab.provider import Office
from tests.simulation.asking import ask
from tests.simulation.talks import ALICE, BOB, MAIL, connect

PERIODIC = [
    "_ldap._tcp.dc._msdcs.office.example.test SRV",
    "_ldap._tcp.site._sites.office.example.test SRV",
    "_kerberos._tcp.office.example.test SRV",
    "gc._msdcs.office.example.test A",
    "pc7.office.example.test SOA",
    "_pc7.office.example.test ANY",
    "wpad.office.example.test A",
]


@pytest.mark.parametrize("words", PERIODIC)
def test_13_what_windows_looks_up_every_few_minutes_does_not_dial(words: str) -> None:
    """dnsmasq(8), filterwin2k: such requests "can cause problems by triggering dial-on-demand"."""
    office = Office()
    for _ in range(20):
        assert ask(office, ALICE, words) is Reason.MAY_NOT_RAISE
        office.wait(300)
    assert office.rises == []


@pytest.mark.parametrize("words", PERIODIC)
def test_13_it_is_answered_all_the_same_while_the_line_is_up(words: str) -> None:
    """filterwin2k breaks Kerberos, SIP and XMPP, because it never lets them ask."""
    office = Office()
    connect(office)
    assert ask(office, ALICE, words) == Ready("isp")


@pytest.mark.parametrize("words", ["_sip._udp.example.test SRV", "www.example.test A"])
def test_13_what_somebody_wants_dials(words: str) -> None:
    office = Office()
    assert isinstance(ask(office, ALICE, words), Coming)
    (rise,) = office.rises
    assert rise.trigger.packet == f"{ALICE} asks for {words}"


def test_14_machines_of_absent_users_look_up_what_they_like() -> None:
    """WinRoute 25.5: unintended dials from lookups of updates and of users who are not there."""
    hosts = [
        HostRight(Right.MAY_USE, parse_address(BOB), name="bob"),
        HostRight(Right.NEVER, parse_address(MAIL), name="mail"),
    ]
    office = Office(hosts=hosts)
    for _ in range(20):
        assert ask(office, BOB, "updates.example.test A") is Reason.MAY_NOT_RAISE
        assert ask(office, MAIL, "updates.example.test A") is Reason.HOST_REFUSED
        office.wait(60)
    assert office.rises == []
    connect(office)
    assert ask(office, BOB, "updates.example.test A") == Ready("isp")
    assert ask(office, MAIL, "updates.example.test A") is Reason.HOST_REFUSED


@pytest.mark.parametrize("words", ["printer A", "mail SRV", "b._dns-sd._udp.office.test PTR"])
def test_14_names_without_dots_and_services_to_browse_do_not_dial(words: str) -> None:
    office = Office()
    assert ask(office, ALICE, words) is Reason.MAY_NOT_RAISE
    assert office.rises == []
