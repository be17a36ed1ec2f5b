"""CHAP: a client and a server alone, and joined by a wire that loses packets (RFC 1994)."""

import hashlib
import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.ppp.chap import PATIENCE_S, REPEAT_S, Algorithm, ChapClient, ChapServer, Md5
from router.ppp.exchange import Outcome
from router.ppp.mschap import MsChapV2
from router.ppp.text import LONGEST_TEXT
from router.ppp.types import Demand, Login, Retries
from router.wire.ppp import Packet, Protocol
from tests.lab.exchanges import Wire, packet, users

CHALLENGE, RESPONSE, SUCCESS, FAILURE = 1, 2, 3, 4
RETRIES = Retries(restart_s=3, max_configure=4)
ALICE = Login("alice", "wonderland")
DEMAND = Demand(users, "isp")
QUESTION = b"0123456789abcdef"

algorithms = pytest.mark.parametrize("algorithm", [Md5(), MsChapV2()], ids=["md5", "mschapv2"])


def a_client(login: Login = ALICE, algorithm: Algorithm | None = None) -> ChapClient:
    return ChapClient(login, algorithm or Md5(), rng=random.Random(1))


def a_server(demand: Demand = DEMAND, algorithm: Algorithm | None = None) -> ChapServer:
    return ChapServer(demand, algorithm or Md5(), RETRIES, rng=random.Random(2))


def challenge(identifier: int = 7, value: bytes = QUESTION, name: bytes = b"isp") -> Packet:
    return packet(CHALLENGE, identifier, bytes((len(value),)) + value + name)


def response(to: Packet, name: bytes = b"alice", password: bytes = b"wonderland") -> Packet:
    """What somebody who knows the password makes of a challenge."""
    value = to.data[1 : 1 + to.data[0]]
    digest = hashlib.md5(bytes((to.identifier,)) + password + value, usedforsecurity=False).digest()
    return packet(RESPONSE, to.identifier, b"\x10" + digest + name)


def asked(server: ChapServer, now: float = 0) -> Packet:
    """The one challenge a server has sent."""
    if server.next_deadline() is None:
        server.begin(now)
    (sent,) = server.take_packets()
    assert sent.code == CHALLENGE
    return sent


def told(end: ChapClient | ChapServer, *packets: Packet, now: float = 0) -> list[Packet]:
    for one in packets:
        end.receive(one, now)
    return end.take_packets()


def passed(demand: Demand = DEMAND) -> ChapServer:
    server = a_server(demand)
    (verdict,) = told(server, response(asked(server)))
    assert verdict.code == SUCCESS
    return server


# The client.


def test_a_response_on_the_line() -> None:
    # printf '\x2awonderland0123456789abcdef' | md5sum
    client = a_client()
    client.begin(0)
    (sent,) = told(client, challenge(0x2A))
    assert (sent.code, sent.identifier, client.protocol) == (RESPONSE, 0x2A, Protocol.CHAP)
    assert sent.data.hex() == "10" + "e10804d058c1e335383b737b85f3c560" + b"alice".hex()


@given(st.integers(0, 255), st.binary(min_size=1, max_size=255), st.text(max_size=30))
def test_any_challenge_is_answered(identifier: int, value: bytes, password: str) -> None:
    client = a_client(Login("alice", password))
    client.begin(0)
    asked_for = challenge(identifier, value)
    assert told(client, asked_for) == [response(asked_for, password=password.encode())]


@pytest.mark.parametrize("name", [b"", b"isp", b"alice", b"\xff\x00"])
def test_a_challenge_is_answered_whatever_its_name(name: bytes) -> None:
    assert len(told(a_client(), challenge(name=name))) == 1


@pytest.mark.parametrize(
    "ignored",
    [
        packet(CHALLENGE, 1, b""),
        packet(CHALLENGE, 1, b"\x00isp"),
        packet(CHALLENGE, 1, b"\x10short"),
        packet(RESPONSE, 1, b"\x10" + bytes(16) + b"isp"),
        packet(0, 1, b""),
        packet(5, 1, b""),
        packet(SUCCESS, 1, b"before there was a challenge"),
        packet(FAILURE, 1, b"before there was a challenge"),
    ],
)
@algorithms
def test_what_a_client_does_not_expect_is_ignored(ignored: Packet, algorithm: Algorithm) -> None:
    client = a_client(algorithm=algorithm)
    client.begin(0)
    assert told(client, ignored) == []
    assert (client.outcome, client.next_deadline()) == (Outcome.PENDING, PATIENCE_S)


@pytest.mark.parametrize(
    ("code", "message", "outcome", "text"),
    [
        (SUCCESS, b"Welcome", Outcome.PASSED, "Welcome"),
        (SUCCESS, b"", Outcome.PASSED, ""),
        (FAILURE, b"Go away\r\n", Outcome.FAILED, "Go away"),
        (FAILURE, b"\x1b]0;owned\x07", Outcome.FAILED, "?]0;owned?"),
        (SUCCESS, b"x" * 1400, Outcome.PASSED, "x" * LONGEST_TEXT),
    ],
)
def test_a_verdict(code: int, message: bytes, outcome: Outcome, text: str) -> None:
    client = a_client()
    client.begin(0)
    told(client, challenge(7), packet(code, 7, message))
    assert (client.outcome, client.message, client.user) == (outcome, text, "")
    assert client.next_deadline() is None


def test_a_verdict_counts_for_the_latest_challenge_only() -> None:
    client = a_client()
    told(client, challenge(7), challenge(8), packet(FAILURE, 7, b""), packet(SUCCESS, 9, b""))
    assert client.outcome is Outcome.PENDING
    told(client, packet(SUCCESS, 8, b""))
    assert client.outcome is Outcome.PASSED


def test_a_verdict_counts_once() -> None:
    client = a_client()
    told(client, challenge(7), packet(SUCCESS, 7, b"Hello"), packet(FAILURE, 7, b"No"))
    told(client, challenge(7), packet(FAILURE, 7, b"No"))  # the challenge, too, is the old one
    assert (client.outcome, client.message) == (Outcome.PASSED, "Hello")


def test_a_client_that_has_passed_is_challenged_again_and_may_fail() -> None:
    client = a_client()
    told(client, challenge(7), packet(SUCCESS, 7, b""))
    again = challenge(8, b"another value!!!")
    assert told(client, again, now=500) == [response(again)]
    assert (client.outcome, client.next_deadline()) == (Outcome.PASSED, None)
    told(client, packet(FAILURE, 8, b"No"), now=501)
    assert (client.outcome, client.message) == (Outcome.FAILED, "No")
    assert told(client, challenge(9), packet(SUCCESS, 9, b"")) == []
    assert client.outcome is Outcome.FAILED


@algorithms
def test_the_same_challenge_has_the_same_response(algorithm: Algorithm) -> None:
    client = a_client(algorithm=algorithm)
    first, second = told(client, challenge(7), challenge(7))
    assert first == second
    (other_identifier,) = told(client, challenge(8))
    assert other_identifier.data != first.data


def test_a_response_is_repeated_until_the_verdict_or_the_end_of_patience() -> None:
    client = a_client()
    client.begin(0)
    assert client.next_deadline() == PATIENCE_S
    (first,) = told(client, challenge(7), now=2)
    assert client.next_deadline() == 2 + REPEAT_S
    repeated = []
    while (due := client.next_deadline()) is not None:
        client.handle_timer(due)
        repeated += client.take_packets()
    assert repeated == [first] * 19  # from second 5 on, every third, before second 60
    assert (due, client.outcome, client.message) == (None, Outcome.FAILED, "no answer")


def test_a_server_that_does_not_even_challenge_is_given_up() -> None:
    client = a_client()
    client.begin(10)
    client.handle_timer(10 + PATIENCE_S - 0.1)
    assert client.outcome is Outcome.PENDING
    client.handle_timer(10 + PATIENCE_S)
    assert (client.outcome, client.message) == (Outcome.FAILED, "no answer")
    assert client.take_packets() == []


# The client beside a server of its own side.


def both_ways(server: ChapServer) -> ChapClient:
    return ChapClient(ALICE, Md5(), rng=random.Random(1), server=server)


@pytest.mark.parametrize("name", [b"isp", b"alice", b"mallory", b""])
def test_a_client_is_no_oracle_for_the_challenges_of_its_own_side(name: bytes) -> None:
    server = a_server()
    own = asked(server)
    reflected = packet(CHALLENGE, own.identifier, own.data[:17] + name)
    assert told(both_ways(server), reflected) == []


@pytest.mark.parametrize(
    ("name", "answers"),
    [(b"isp", 0), (b"alice", 0), (b"peer", 1), (b"", 1)],
)
def test_a_client_does_not_answer_in_its_own_side_s_name(name: bytes, answers: int) -> None:
    server = a_server()
    asked(server)
    assert len(told(both_ways(server), challenge(name=name))) == answers


def test_both_ends_prove_themselves_at_once() -> None:
    ours = ChapServer(Demand(users, "home"), Md5(), RETRIES, rng=random.Random(3))
    theirs = ChapServer(Demand({"home": "sweet"}.get, "bob"), Md5(), RETRIES, rng=random.Random(4))
    we = ChapClient(Login("home", "sweet"), Md5(), rng=random.Random(5), server=ours)
    they = ChapClient(Login("bob", "builder"), Md5(), rng=random.Random(6), server=theirs)
    for wire in (Wire(we, theirs), Wire(they, ours)):
        wire.begin()
        assert wire.outcomes == ("PASSED", "PASSED")
    assert (ours.user, theirs.user) == ("bob", "home")


# The server.


def test_a_challenge_on_the_line() -> None:
    sent = asked(a_server())
    assert (sent.data[0], sent.data[17:]) == (16, b"isp")
    drawn = random.Random(2)
    drawn.randrange(0, 256)
    assert sent.data[1:17] == bytes(drawn.randrange(0, 256) for _ in range(16))


def test_challenges_change_until_there_have_been_enough() -> None:
    server = a_server()
    server.begin(10)
    for at in (13, 16, 19, 22):
        assert server.next_deadline() == at
        server.handle_timer(at - 0.001)
        server.handle_timer(at)
    sent = server.take_packets()
    assert [one.identifier - sent[0].identifier for one in sent] == [0, 1, 2, 3]
    assert len({one.data for one in sent}) == 4
    assert (server.outcome, server.message) == (Outcome.FAILED, "no answer")
    assert server.next_deadline() is None
    assert told(server, response(sent[-1]), now=23) == []


def test_who_knows_the_password_passes() -> None:
    server = a_server()
    question = asked(server)
    (verdict,) = told(server, response(question))
    assert (verdict.code, verdict.identifier) == (SUCCESS, question.identifier)
    assert (server.outcome, server.user, server.message) == (Outcome.PASSED, "alice", "")
    assert server.next_deadline() is None


@pytest.mark.parametrize(
    ("name", "password"),
    [
        (b"alice", b"Wonderland"),
        (b"alice", b""),
        (b"alice", b"builder"),
        (b"mallory", b"wonderland"),
        (b"mallory", b""),  # as the password an unknown user is compared with
        (b"", b""),
        (b"\xff\xfe", b""),
        (b"alice\n", b"wonderland"),
    ],
)
def test_a_refusal_does_not_tell_its_cause(name: bytes, password: bytes) -> None:
    server, wrong = a_server(), a_server()
    refused = told(server, response(asked(server), name, password))
    assert refused == told(wrong, response(asked(wrong), b"bob", b"wrong"))
    assert refused[0].code == FAILURE
    assert (server.outcome, server.user) == (Outcome.FAILED, "")
    assert server.next_deadline() is None


def test_a_refused_server_says_who_it_was() -> None:
    server = a_server()
    told(server, response(asked(server), b"mal\x07lory"))
    assert server.message == 'it calls itself "mal?lory"'


@pytest.mark.parametrize(
    ("password", "code"), [(b"wonderland", SUCCESS), (b"wrong", FAILURE)], ids=["yes", "no"]
)
@algorithms
def test_a_verdict_is_said_again_to_every_response(
    password: bytes, code: int, algorithm: Algorithm
) -> None:
    server = a_server(algorithm=algorithm)
    question = asked(server)
    client = a_client(Login("alice", password.decode()), algorithm)
    (first,) = told(client, question)
    other = a_client(Login("bob", "builder"), algorithm)
    verdict, *again = told(server, first, first, *told(other, question))
    assert verdict.code == code
    assert again == [verdict, verdict]
    assert server.user == ("alice" if code == SUCCESS else "")


def test_a_response_counts_to_the_latest_challenge_only() -> None:
    server = a_server()
    first = asked(server)
    server.handle_timer(3)
    second = asked(server)
    wrong_identifier = packet(RESPONSE, first.identifier, response(second).data)
    old_value = packet(RESPONSE, second.identifier, response(first).data)
    assert told(server, response(first), wrong_identifier) == []
    assert server.outcome is Outcome.PENDING
    (verdict,) = told(server, old_value)
    assert (verdict.code, server.outcome) == (FAILURE, Outcome.FAILED)


@pytest.mark.parametrize("data", [b"", b"\x00alice", b"\x10short", b"\xff" + bytes(254)])
@pytest.mark.parametrize("code", [0, CHALLENGE, RESPONSE, SUCCESS, FAILURE, 5])
@algorithms
def test_what_a_server_cannot_read_is_ignored(code: int, data: bytes, algorithm: Algorithm) -> None:
    server = a_server(algorithm=algorithm)
    question = asked(server)
    assert told(server, packet(code, question.identifier, data)) == []
    assert server.outcome is Outcome.PENDING


def test_before_it_begins_a_server_judges_nothing() -> None:
    server = a_server()
    responses = [packet(RESPONSE, number, b"\x01xalice") for number in range(256)]
    assert told(server, *responses) == []
    assert server.outcome is Outcome.PENDING


def test_a_client_is_challenged_again_when_told_so() -> None:
    server = passed(replace(DEMAND, again_s=600))
    for at in (600, 1200):
        assert server.next_deadline() == at
        server.handle_timer(at - 0.1)
        assert server.take_packets() == []
        server.handle_timer(at)
        (verdict,) = told(server, response(asked(server)), now=at)
        assert (verdict.code, server.outcome, server.user) == (SUCCESS, Outcome.PASSED, "alice")


def test_no_answer_to_a_later_challenge_is_the_end() -> None:
    server = passed(replace(DEMAND, again_s=600))
    for at in (600, 603, 606, 609):
        assert server.outcome is Outcome.PASSED
        server.handle_timer(at)
        asked(server)
    server.handle_timer(612)
    assert (server.outcome, server.message) == (Outcome.FAILED, "no answer")


@pytest.mark.parametrize(
    ("name", "password"), [(b"alice", b"wrong"), (b"bob", b"builder")], ids=["wrong", "another"]
)
def test_only_the_same_user_passes_a_later_challenge(name: bytes, password: bytes) -> None:
    server = passed(replace(DEMAND, again_s=600))
    server.handle_timer(600)
    (verdict,) = told(server, response(asked(server), name, password), now=600)
    assert (verdict.code, server.outcome) == (FAILURE, Outcome.FAILED)
    assert server.next_deadline() is None


# Joined.


@algorithms
def test_a_verdict_that_is_lost_is_asked_for_again(algorithm: Algorithm) -> None:
    wire = Wire(a_client(algorithm=algorithm), a_server(algorithm=algorithm), lost={0, 3})
    wire.begin()
    wire.settle()
    assert wire.heard == [
        "0 server 1*", "3 server 1", "3 client 2", "3 server 3*", "6 client 2", "6 server 3",
    ]  # fmt: skip
    assert wire.outcomes == ("PASSED", "PASSED")


@given(st.sets(st.integers(0, 6), max_size=3), st.sampled_from(["wonderland", "wrong"]))
@algorithms
def test_any_loss_that_leaves_one_try_is_got_over(
    algorithm: Algorithm, lost: set[int], password: str
) -> None:
    client = a_client(Login("alice", password), algorithm)
    wire = Wire(client, a_server(algorithm=algorithm), lost)
    wire.begin()
    wire.settle()
    wanted = "PASSED" if password == ALICE.password else "FAILED"
    assert wire.outcomes == (wanted, wanted)


@algorithms
def test_a_long_session(algorithm: Algorithm) -> None:
    server = a_server(replace(DEMAND, again_s=60), algorithm)
    wire = Wire(a_client(algorithm=algorithm), server, lost=range(4, 300, 9))
    wire.begin()
    wire.run_until(3 * 3600)
    assert wire.outcomes == ("PASSED", "PASSED")
    assert sum(line.endswith(" 3") for line in wire.heard) > 140


def test_a_dead_line_is_given_up_by_both() -> None:
    wire = Wire(a_client(), a_server(), lost=range(1000))
    wire.begin()
    wire.settle()
    assert wire.outcomes == ("FAILED", "FAILED")
    assert (wire.now, len(wire.heard)) == (PATIENCE_S, 4)


@algorithms
@given(packets=st.lists(st.tuples(st.integers(0, 5), st.integers(0, 255), st.binary(max_size=80))))
def test_nothing_raises(algorithm: Algorithm, packets: list[tuple[int, int, bytes]]) -> None:
    for end in (a_client(algorithm=algorithm), a_server(algorithm=algorithm)):
        end.begin(0)
        for code, identifier, data in packets:
            end.receive(Packet(code, identifier, data), 0)
            end.receive(Packet(code, (end.take_packets() or [challenge()])[-1].identifier, data), 0)
        assert end.message.isprintable()


def test_no_repr_tells_a_password() -> None:
    for one in (a_client(), a_server(), a_client()._login):
        assert "wonderland" not in repr(one)
