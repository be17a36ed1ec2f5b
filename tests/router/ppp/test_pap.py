"""PAP: a client and a server alone, and joined by a wire that loses packets (RFC 1334)."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.ppp.exchange import Outcome
from router.ppp.pap import PapClient, PapServer
from router.ppp.text import LONGEST_TEXT
from router.ppp.types import Demand, Login, Retries
from router.wire.ppp import Packet, Protocol
from tests.lab.exchanges import Wire, packet, users

REQUEST, ACK, NAK = 1, 2, 3
RETRIES = Retries(restart_s=3, max_configure=4)
ALICE = Login("alice", "wonderland")


def a_client(login: Login = ALICE, seed: int = 1) -> PapClient:
    return PapClient(login, RETRIES, rng=random.Random(seed))


def a_server() -> PapServer:
    return PapServer(Demand(users, "isp"), RETRIES, rng=random.Random(2))


def request(user: bytes, password: bytes, identifier: int = 7) -> Packet:
    data = bytes((len(user),)) + user + bytes((len(password),)) + password
    return packet(REQUEST, identifier, data)


def told(server: PapServer, *requests: Packet) -> list[Packet]:
    for one in requests:
        server.receive(one, 0)
    return server.take_packets()


def test_a_request_on_the_line() -> None:
    client = a_client()
    client.begin(0)
    (sent,) = client.take_packets()
    assert sent.data == b"\x05alice\x0awonderland"
    assert (sent.code, client.outcome, client.protocol) == (REQUEST, Outcome.PENDING, Protocol.PAP)
    assert client.take_packets() == []


def test_a_request_is_repeated_under_another_identifier_until_there_have_been_enough() -> None:
    client = a_client()
    client.begin(10)
    identifiers = []
    for at in (13, 16, 19, 22):
        assert client.next_deadline() == at
        client.handle_timer(at - 0.001)
        identifiers += [sent.identifier for sent in client.take_packets()]
        client.handle_timer(at)
    first = identifiers[0]
    assert identifiers == [(first + step) % 256 for step in range(4)]
    assert (client.outcome, client.message) == (Outcome.FAILED, "no answer")
    assert (client.take_packets(), client.next_deadline()) == ([], None)


@pytest.mark.parametrize(
    ("code", "data", "outcome", "message"),
    [
        (ACK, b"\x05Hello", Outcome.PASSED, "Hello"),
        (NAK, b"\x02No", Outcome.FAILED, "No"),
        (ACK, b"\x00", Outcome.PASSED, ""),
        (ACK, b"", Outcome.PASSED, ""),  # some leave out the length, too
        (NAK, b"\xffcut", Outcome.FAILED, "cut"),
        (NAK, b"\x05\x1b[2J\xff", Outcome.FAILED, "?[2J\N{REPLACEMENT CHARACTER}"),
        (ACK, b"\xff" + b"x" * 255, Outcome.PASSED, "x" * LONGEST_TEXT),
    ],
)
def test_a_verdict(code: int, data: bytes, outcome: Outcome, message: str) -> None:
    client = a_client()
    client.begin(0)
    (sent,) = client.take_packets()
    client.receive(packet(code, sent.identifier, data), 1)
    assert (client.outcome, client.message, client.user) == (outcome, message, "")
    assert client.next_deadline() is None


@pytest.mark.parametrize("password", ["wonderland", ""])
def test_a_password_that_is_repeated_is_not_told(password: str) -> None:
    client = a_client(Login("alice", password))
    client.begin(0)
    (sent,) = client.take_packets()
    message = b"no wonderland for alice"
    client.receive(packet(NAK, sent.identifier, bytes((len(message),)) + message), 1)
    assert client.message == f"no {'...' if password else 'wonderland'} for alice"


@pytest.mark.parametrize(("step", "outcome"), [(-1, "PENDING"), (0, "PASSED"), (1, "PASSED"),
                                               (2, "PENDING"), (128, "PENDING")])  # fmt: skip
@pytest.mark.parametrize("seed", range(3))
def test_a_verdict_counts_if_it_is_to_any_request_sent(step: int, outcome: str, seed: int) -> None:
    client = a_client(seed=seed)
    client.begin(0)
    client.handle_timer(3)
    first, _second = client.take_packets()
    client.receive(packet(ACK, (first.identifier + step) % 256, b"\0"), 4)
    assert client.outcome.name == outcome


def test_identifiers_wrap() -> None:
    class Last:
        def randrange(self, start: int, stop: int) -> int:
            assert start < stop
            return stop - 1

    client = PapClient(ALICE, RETRIES, rng=Last())
    client.begin(0)
    client.handle_timer(3)
    assert [sent.identifier for sent in client.take_packets()] == [255, 0]
    client.receive(packet(ACK, 0, b"\0"), 4)
    assert client.outcome is Outcome.PASSED


@pytest.mark.parametrize("code", [0, REQUEST, 4, 255])
def test_what_is_no_verdict_is_ignored(code: int) -> None:
    client = a_client()
    client.begin(0)
    (sent,) = client.take_packets()
    client.receive(packet(code, sent.identifier, b"\0"), 1)
    assert (client.outcome, client.take_packets()) == (Outcome.PENDING, [])


def test_the_first_verdict_decides() -> None:
    client = a_client()
    client.begin(0)
    (sent,) = client.take_packets()
    client.receive(packet(ACK, sent.identifier, b"\x02Hi"), 1)
    client.receive(packet(NAK, sent.identifier, b"\x02No"), 2)
    assert (client.outcome, client.message) == (Outcome.PASSED, "Hi")


@pytest.mark.parametrize("login", [Login("u" * 256, "p"), Login("u", "é" * 128)])
def test_what_does_not_fit_is_not_sent(login: Login) -> None:
    client = a_client(login)
    client.begin(0)
    assert (client.outcome, client.take_packets()) == (Outcome.FAILED, [])
    assert client.message == "PAP takes 255 octets of user and of password"
    assert client.next_deadline() is None


def test_what_just_fits_is_sent() -> None:
    client = a_client(Login("u" * 255, "p" * 255))
    client.begin(0)
    (sent,) = client.take_packets()
    assert sent.data == b"\xff" + b"u" * 255 + b"\xff" + b"p" * 255


def test_a_server_lets_in_who_knows_the_password() -> None:
    server = a_server()
    server.begin(0)
    (answer,) = told(server, request(b"alice", b"wonderland"))
    assert (answer.code, answer.identifier) == (ACK, 7)
    assert len(answer.data) == 1 + answer.data[0]
    assert (server.outcome, server.user, server.message) == (Outcome.PASSED, "alice", "")
    assert server.next_deadline() is None


@pytest.mark.parametrize(
    ("user", "password"),
    [
        (b"alice", b"Wonderland"),
        (b"alice", b""),
        (b"alice", b"wonderland\0"),
        (b"alice", b"wonderlan"),
        (b"Alice", b"wonderland"),
        (b"mallory", b"wonderland"),
        (b"mallory", b""),  # as the password an unknown user is compared with
        (b"", b""),
        (b"\xff\xfe", b""),
        (b"alice\n", b"wonderland"),
    ],
)
def test_a_refusal_does_not_tell_its_cause(user: bytes, password: bytes) -> None:
    server, wrong = a_server(), a_server()
    refused = told(server, request(user, password))
    assert refused == told(wrong, request(b"bob", b"wrong"))
    assert refused[0].code == NAK
    assert (server.outcome, server.user) == (Outcome.FAILED, "")


def test_a_refused_server_says_who_it_was() -> None:
    server = a_server()
    told(server, request(b"mal\x07lory", b"secret"))
    assert server.message == 'it calls itself "mal?lory"'


@pytest.mark.parametrize(
    ("password", "code"), [(b"wonderland", ACK), (b"wrong", NAK)], ids=["passed", "failed"]
)
def test_everyone_after_the_first_is_told_the_same(password: bytes, code: int) -> None:
    server = a_server()
    first, *later = told(
        server,
        request(b"alice", password, 1),
        request(b"alice", password, 1),
        request(b"alice", password, 2),
        request(b"bob", b"builder", 3),
        request(b"bob", b"wrong", 4),
    )
    assert [(one.code, one.identifier) for one in later] == [(code, n) for n in (1, 2, 3, 4)]
    assert {one.data for one in later} == {first.data}
    assert server.user == ("alice" if code == ACK else "")


@pytest.mark.parametrize(
    "malformed",
    [
        b"",
        b"\x05",
        b"\x05alic",
        b"\x05alice",
        b"\x05alice\x0b" + b"wonderland",
        b"\xff" + b"a" * 254,
    ],
)
def test_what_cannot_be_read_is_ignored(malformed: bytes) -> None:
    server = a_server()
    server.begin(0)
    assert told(server, packet(REQUEST, 1, malformed), packet(ACK, 1, b"\0")) == []
    assert server.outcome is Outcome.PENDING


def test_a_server_waits_as_long_as_a_client_tries() -> None:
    server = a_server()
    server.begin(100)
    assert server.next_deadline() == 112
    server.handle_timer(111.9)
    assert server.outcome is Outcome.PENDING
    server.handle_timer(112)
    assert (server.outcome, server.message) == (Outcome.FAILED, "no answer")
    assert server.next_deadline() is None


def test_an_answer_that_is_lost_is_asked_for_again() -> None:
    wire = Wire(a_client(), a_server(), lost={0, 2})
    wire.begin()
    wire.settle()
    assert wire.heard == [
        "0 client 1*", "3 client 1", "3 server 2*", "6 client 1", "6 server 2",
    ]  # fmt: skip
    assert wire.outcomes == ("PASSED", "PASSED")


@given(st.sets(st.integers(0, 5), max_size=3), st.sampled_from(["wonderland", "wrong"]))
def test_any_loss_that_leaves_one_try_is_got_over(lost: set[int], password: str) -> None:
    wire = Wire(a_client(Login("alice", password)), a_server(), lost)
    wire.begin()
    wire.settle()
    wanted = "PASSED" if password == ALICE.password else "FAILED"
    assert wire.outcomes == (wanted, wanted)


def test_a_dead_line_is_given_up_by_both() -> None:
    wire = Wire(a_client(), a_server(), lost=range(1000))
    wire.begin()
    wire.settle()
    assert wire.outcomes == ("FAILED", "FAILED")
    assert (wire.now, len(wire.heard)) == (12, 4)


@given(st.integers(0, 255), st.integers(0, 255), st.binary(max_size=40))
def test_nothing_raises(code: int, identifier: int, data: bytes) -> None:
    for end in (a_client(), a_server()):
        end.begin(0)
        end.receive(Packet(code, identifier, data), 0)
        assert end.message.isprintable()


def test_no_repr_tells_a_password() -> None:
    for one in (ALICE, a_client(), a_client()._credentials, a_server()):
        assert "wonderland" not in repr(one)
