import dns.edns
import dns.message
import dns.opcode
import dns.rdatatype
import dns.update
import pytest

from router.host.names.limits import LONGEST_TTL_S, NEGATIVE_TTL_S
from router.host.names.questions import (
    Query,
    answer_to,
    failure_of,
    packet_of,
    read_answer,
    read_query,
    words_of,
)
from router.wire.address import parse_address
from tests.lab.packets import describe, frame, wrong_checksums
from tests.router.host.names.messages import (
    ALICE,
    ROUTER,
    WWW,
    answer,
    asked,
    parsed,
    query,
    question,
    shown,
    told,
)

SOA = "example.test {ttl} SOA ns.example.test. boss.example.test. 1 2 3 4 {least}"


@pytest.mark.parametrize(
    ("wire", "host"),
    [
        (asked(), ALICE),
        (asked(host=None), "192.168.1.1"),
        (asked(host=ALICE, bits=24), "192.168.1.1"),
        (asked(host="2001:db8::1"), "192.168.1.1"),
    ],
)
def test_who_asks(wire: bytes, host: str) -> None:
    made = read_query(wire, ROUTER)
    assert isinstance(made, Query)
    assert made.host == parse_address(host)
    assert made.question == question()


def test_questions_are_told_apart_by_what_changes_their_answers() -> None:
    plain = [asked("WWW.Example.test A", number=3), asked(host="192.168.1.12"), asked()]
    others = [asked(do=True), asked("www.example.test AAAA"), asked("example.test A")]
    read = [read_query(wire, ROUTER) for wire in (*plain, *others)]
    assert len({each.question for each in read if isinstance(each, Query)}) == 1 + len(others)


def made(**changes: object) -> bytes:
    message = dns.message.make_query("www.example.test", changes.pop("rdtype", "A"), id=7)
    for key, value in changes.items():
        setattr(message, key, value)
    return message.to_wire()


@pytest.mark.parametrize(
    ("wire", "rcode"),
    [
        (made()[:20], "FORMERR"),
        (made() + b"\0", "FORMERR"),
        (made()[:4] + b"\0\2" + made()[6:], "FORMERR"),
        (dns.update.UpdateMessage("example.test", id=7).to_wire(), "NOTIMP"),
        (made(rdtype="AXFR"), "REFUSED"),
        (dns.message.make_query("version.bind", "TXT", "CH", id=7).to_wire(), "REFUSED"),
    ],
)
def test_what_is_not_for_us_is_told_so(wire: bytes, rcode: str) -> None:
    said = read_query(wire, ROUTER)
    assert isinstance(said, bytes)
    assert shown(said).startswith(f"{parsed(wire).id if rcode != 'FORMERR' else 7} {rcode} QR")


@pytest.mark.parametrize("wire", [b"", b"\0" * 11, told(WWW, f"{WWW.split()[0]} 1 A 192.0.2.1")])
def test_no_query_gets_no_answer(wire: bytes) -> None:
    assert read_query(wire, ROUTER) is None


def test_nothing_of_the_host_or_its_options_leaves() -> None:
    wire = query().question.message(9).to_wire()
    message = parsed(wire)
    assert (message.id, list(message.options), message.payload) == (9, [], 1232)
    assert bytes(map(int, ALICE.split("."))) not in wire
    assert b"eight by" not in wire


def test_an_answer_has_its_askers_id_and_case_and_the_time_that_is_left() -> None:
    wire = answer_to(query("wWw.example.TEST A", number=99), answer(), age_s=100.9, limit=512)
    assert shown(wire) == "99 NOERROR QR RD RA | 200 198.51.100.10"
    assert parsed(wire).question[0].name.to_text() == "wWw.example.TEST."
    assert shown(answer_to(query(), answer(), age_s=400, limit=512)).endswith("| 0 198.51.100.10")


def test_what_does_not_fit_a_datagram_is_cut_off_and_said_so() -> None:
    texts = [f"t.example.test 300 TXT {'x' * 200}{number}" for number in range(9)]
    long = answer("t.example.test TXT", *texts)
    cut = parsed(answer_to(query("t.example.test TXT"), long, limit=512))
    assert cut.flags & 0x0200
    whole = answer_to(query("t.example.test TXT"), long, limit=65535)
    assert len(parsed(whole).answer[0]) == len(texts)


def test_a_failure() -> None:
    assert shown(failure_of(query(number=5), 2)) == "5 SERVFAIL QR RD RA"


@pytest.mark.parametrize(
    ("records", "rcode", "ttl_s"),
    [
        (["www.example.test 300 A 192.0.2.1"], "NOERROR", 300),
        (["www.example.test 90 CNAME a.test.", "a.test 300 A 192.0.2.1"], "NOERROR", 90),
        (["www.example.test 900000 A 192.0.2.1"], "NOERROR", LONGEST_TTL_S),
        (["www.example.test 0 A 192.0.2.1"], "NOERROR", 0),
        ([SOA.format(ttl=500, least=60)], "NXDOMAIN", 60),
        ([SOA.format(ttl=50, least=600)], "NXDOMAIN", 50),
        ([SOA.format(ttl=99999, least=99999)], "NXDOMAIN", NEGATIVE_TTL_S),
        ([SOA.format(ttl=500, least=60)], "NOERROR", 60),
        (["www.example.test 90 CNAME a.test.", SOA.format(ttl=500, least=60)], "NOERROR", 60),
        ([], "NXDOMAIN", 0),
        ([], "NOERROR", 0),
        (["www.example.test 300 A 192.0.2.1"], "SERVFAIL", 0),
        ([], "REFUSED", 0),
    ],
)
def test_for_how_long_an_answer_is_true(records: list[str], rcode: str, ttl_s: float) -> None:
    read = read_answer(told(WWW, *records, rcode=rcode), question(), 7)
    assert read is not None
    assert read.ttl_s == ttl_s


@pytest.mark.parametrize(
    "wire",
    [
        told(WWW, number=8),
        told("www.example.test AAAA"),
        told("other.example.test A"),
        asked(),
        told(WWW)[:-1],
        b"",
    ],
)
def test_what_is_no_answer_to_the_question(wire: bytes) -> None:
    assert read_answer(wire, question(), 7) is None


def test_a_failure_may_leave_the_question_out_and_an_answer_may_not() -> None:
    empty = b"\0\7\x81" + b"%c" + bytes(8)
    assert read_answer(empty % 0x82, question(), 7) is not None
    assert read_answer(empty % 0x80, question(), 7) is None


def test_the_packet_a_host_would_have_sent() -> None:
    server = parse_address("198.51.100.53")
    packet = packet_of(question(), parse_address(ALICE), server)
    assert describe(frame(packet)) == f"udp {ALICE}:49152 > 198.51.100.53:53"
    assert wrong_checksums(packet) == []
    assert parsed(packet[28:]).question[0].name.to_text() == "www.example.test."


def test_words() -> None:
    assert words_of(question(), parse_address(ALICE)) == f"{ALICE} asks for {WWW}"
    assert question("x\\010y.test TYPE999").words == "x\\010y.test TYPE999"
    assert len(question(".".join(["\\001" * 60] * 4) + " A").words) < 270


@pytest.mark.parametrize(
    ("words", "chatter"),
    [
        ("www.example.test A", False),
        ("_sip._tcp.example.test SRV", False),
        ("b.example.test A", False),
        ("example.test MX", False),
        ("example.test SOA", True),
        ("printer TXT", True),
        (". NS", True),
        ("lb._dns-sd._udp.0.1.168.192.in-addr.arpa PTR", True),
        ("_ldap._tcp.example.test SRV", True),
        ("_x.example.test ANY", True),
        ("example.test ANY", False),
    ],
)
def test_what_machines_ask_again_and_again(words: str, *, chatter: bool) -> None:
    assert question(words).is_chatter is chatter
