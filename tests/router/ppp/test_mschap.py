"""MS-CHAPv2: the example of RFC 2759 section 9.2, and what each end makes of the other."""

import random
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.ppp import mschap
from router.ppp.chap import ChapClient, ChapServer, Round
from router.ppp.exchange import Outcome
from router.ppp.mschap import MsChapV2
from router.ppp.text import LONGEST_TEXT
from router.ppp.types import Demand, Login, Retries
from router.wire.ppp import Packet
from tests.lab.exchanges import Wire, packet, users

CHALLENGE, RESPONSE, SUCCESS, FAILURE = 1, 2, 3, 4
ALICE = Login("alice", "wonderland")

# RFC 2759 section 9.2.
USER, PASSWORD = b"User", "clientPass"
AUTHENTICATOR_CHALLENGE = bytes.fromhex("5B5D7C7D7B3F2F3E3C2C602132262628")
PEER_CHALLENGE = bytes.fromhex("21402324255E262A28295F2B3A337C7E")
CHALLENGE_HASH = bytes.fromhex("D02E4386BCE91226")
PASSWORD_HASH = bytes.fromhex("44EBBA8D5312B8D611474411F56989AE")
NT_RESPONSE = bytes.fromhex("82309ECD8D708B5EA08FAA3981CD83544233114A3D85D6DF")
AUTHENTICATOR_RESPONSE = b"S=407A5589115FD0D6209F510FE9C04566932CDA56"
EXAMPLE = Round(1, AUTHENTICATOR_CHALLENGE, PEER_CHALLENGE + bytes(8) + NT_RESPONSE + b"\0", USER)


_users = st.text(min_size=1).filter(str.isprintable)


class Scripted:
    """Draws the octets it was given."""

    def __init__(self, octets: bytes) -> None:
        self._octets = iter(octets)

    def randrange(self, start: int, stop: int) -> int:
        assert (start, stop) == (0, 256)
        return next(self._octets)


def a_client(login: Login = ALICE) -> ChapClient:
    client = ChapClient(login, MsChapV2(), rng=random.Random(1))
    client.begin(0)
    return client


def a_server(demand: Demand | None = None) -> ChapServer:
    demand = demand or Demand(users, "isp")
    return ChapServer(demand, MsChapV2(), Retries(), rng=random.Random(2))


def test_the_example_step_by_step() -> None:
    assert mschap.challenge_hash(PEER_CHALLENGE, AUTHENTICATOR_CHALLENGE, USER) == CHALLENGE_HASH
    assert mschap.nt_password_hash(PASSWORD) == PASSWORD_HASH
    assert mschap.nt_response(CHALLENGE_HASH, PASSWORD_HASH) == NT_RESPONSE
    assert (
        mschap.authenticator_response(CHALLENGE_HASH, NT_RESPONSE, PASSWORD_HASH)
        == AUTHENTICATOR_RESPONSE
    )


@pytest.mark.parametrize("user", ["User", "BIGCO\\User", "A\\B\\User"])
def test_the_example_as_one_exchange_whatever_the_domain(user: str) -> None:
    algorithm = MsChapV2()
    login = Login(user, PASSWORD)
    response = algorithm.respond(1, AUTHENTICATOR_CHALLENGE, login, Scripted(PEER_CHALLENGE))
    assert response == EXAMPLE.response
    one = EXAMPLE._replace(name=user.encode())
    assert algorithm.verify(one, PASSWORD)
    message = algorithm.success(one, PASSWORD)
    assert message.startswith(AUTHENTICATOR_RESPONSE + b" M=")
    assert algorithm.check_success(one, PASSWORD, message)


@pytest.mark.parametrize(
    "one",
    [
        EXAMPLE._replace(challenge=PEER_CHALLENGE),
        EXAMPLE._replace(name=b"user"),
        EXAMPLE._replace(response=bytes(1) + EXAMPLE.response[1:]),
        EXAMPLE._replace(response=EXAMPLE.response[:-2] + b"\0\0"),
        EXAMPLE._replace(response=EXAMPLE.response[:-1]),
        EXAMPLE._replace(response=EXAMPLE.response + b"\0"),
        EXAMPLE._replace(response=b""),
    ],
)
def test_another_challenge_name_or_response_proves_nothing(one: Round) -> None:
    assert not MsChapV2().verify(one, PASSWORD)


def test_another_password_proves_nothing() -> None:
    assert not MsChapV2().verify(EXAMPLE, "clientpass")


@pytest.mark.parametrize("length", [1, 8, 15, 17, 255])
def test_a_challenge_of_another_length_is_not_answered(length: int) -> None:
    client = a_client()
    client.receive(packet(CHALLENGE, 1, bytes((length,)) + bytes(length)), 0)
    assert (client.take_packets(), client.outcome) == ([], Outcome.PENDING)


def verdict_on(message: bytes, code: int = SUCCESS) -> ChapClient:
    """A client that was told this."""
    client = ChapClient(Login("User", PASSWORD), MsChapV2(), rng=Scripted(PEER_CHALLENGE))
    client.begin(0)
    client.receive(packet(CHALLENGE, 1, b"\x10" + AUTHENTICATOR_CHALLENGE + b"isp"), 0)
    client.receive(packet(code, 1, message), 0)
    return client


@pytest.mark.parametrize(
    ("message", "text"),
    [
        (AUTHENTICATOR_RESPONSE + b" M=Welcome", "Welcome"),
        (AUTHENTICATOR_RESPONSE + b" M=Your E=691 days", "Your E=691 days"),
        (AUTHENTICATOR_RESPONSE + b" M=" + b"x" * 1000, "x" * LONGEST_TEXT),
        (AUTHENTICATOR_RESPONSE + b" M=\x1b[2J", "?[2J"),
        (AUTHENTICATOR_RESPONSE, ""),
        (AUTHENTICATOR_RESPONSE.lower().replace(b"s=", b"S="), ""),
    ],
)
def test_a_server_that_proves_itself(message: bytes, text: str) -> None:
    client = verdict_on(message)
    assert (client.outcome, client.message) == (Outcome.PASSED, text)


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"S=",
        b"M=Welcome",
        AUTHENTICATOR_RESPONSE[:-1],
        AUTHENTICATOR_RESPONSE[:-1] + b"7 M=Welcome",
        b" " + AUTHENTICATOR_RESPONSE,
        b"S=" + b"0" * 40 + b" M=Welcome",
    ],
)
def test_a_server_that_does_not_prove_itself_is_refused(message: bytes) -> None:
    client = verdict_on(message)
    assert client.outcome is Outcome.FAILED
    assert client.message == "it accepts the login but does not prove that it knows the password"


C = b"C=00112233445566778899AABBCCDDEEFF"


@pytest.mark.parametrize(
    ("message", "text"),
    [
        (b"E=691 R=0 %s V=3 M=No such luck" % C,
         "user unknown or password wrong (error 691): No such luck"),
        (b"E=691 R=1 %s V=3" % C, "user unknown or password wrong (error 691)"),
        (b"E=646 R=0 %s V=3 M=" % C, "no login at this hour (error 646)"),
        (b"E=647 R=0", "the account is disabled (error 647)"),
        (b"E=648 R=1", "the password has expired (error 648)"),
        (b"E=0000000649", "no permission to dial in (error 649)"),
        (b"E=709", "the password could not be changed (error 709)"),
        (b"E=4711 R=0 M=Broke", "login refused (error 4711): Broke"),
        (b"M=Only text with E=691", "Only text with E=691"),
        (b"Login incorrect", "Login incorrect"),
        (b"E=12345678901", "E=12345678901"),
        (b"E=nonsense", "E=nonsense"),
        (b"", ""),
        (b"E=691 M=\x07\xff", "user unknown or password wrong (error 691): ?\ufffd"),
    ],
)  # fmt: skip
def test_a_failure_in_words(message: bytes, text: str) -> None:
    client = verdict_on(message, FAILURE)
    assert (client.outcome, client.message) == (Outcome.FAILED, text)


def test_a_failure_that_allows_another_try_gets_none() -> None:
    client = verdict_on(b"E=691 R=1 %s V=3 M=Again" % C, FAILURE)
    client.take_packets()
    client.handle_timer(1e6)
    assert (client.take_packets(), client.next_deadline()) == ([], None)


def test_a_failure_on_the_line() -> None:
    server = a_server()
    server.begin(0)
    (question,) = server.take_packets()
    client = a_client(Login("alice", "wrong"))
    client.receive(question, 0)
    server.receive(client.take_packets()[0], 0)
    (verdict,) = server.take_packets()
    assert verdict.code == FAILURE
    assert re.fullmatch(rb"E=691 R=0 C=[0-9A-F]{32} V=3 M=Login incorrect", verdict.data)


@pytest.mark.parametrize("user", ["mallory", "alice"])
def test_a_refusal_does_not_tell_its_cause(user: str) -> None:
    wire = Wire(a_client(Login(user, "")), a_server())
    wire.begin()
    assert wire.outcomes == ("FAILED", "FAILED")
    client = wire.ends["client"]
    assert client.message == "user unknown or password wrong (error 691): Login incorrect"


@pytest.mark.parametrize(
    ("login", "outcome"),
    [
        (Login("ISP\\carol", "singing"), Outcome.PASSED),
        (Login("carol", "singing"), Outcome.FAILED),  # users are found by the whole name
        (Login("ISP\\alice", "wonderland"), Outcome.FAILED),
    ],
)
def test_users_with_a_domain(login: Login, outcome: Outcome) -> None:
    wire = Wire(a_client(login), server := a_server())
    wire.begin()
    assert server.outcome is outcome
    assert server.user == (login.user if outcome is Outcome.PASSED else "")


@given(_users, st.text(), st.integers())
def test_any_password_passes_and_no_other_one(user: str, password: str, seed: int) -> None:
    for known, outcome in ((password, "PASSED"), (password + "x", "FAILED")):
        server = a_server(Demand({user: known}.get, "isp"))
        client = ChapClient(Login(user, password), MsChapV2(), rng=random.Random(seed))
        wire = Wire(client, server)
        wire.begin()
        assert wire.outcomes == (outcome, outcome)


def test_a_server_that_does_not_know_the_password_is_found_out() -> None:
    class Gullible(MsChapV2):
        def verify(self, one: Round, password: str) -> bool:
            return len(one.response) == 49 and bool(password)

    demand = Demand({"alice": "guessed"}.get, "isp")
    server = ChapServer(demand, Gullible(), Retries(), rng=random.Random(2))
    wire = Wire(a_client(), server)
    wire.begin()
    assert wire.outcomes == ("FAILED", "PASSED")


@given(st.binary(max_size=120))
def test_words_are_printable_and_bounded(message: bytes) -> None:
    text = MsChapV2().words(message)
    assert text.isprintable()
    assert len(text) <= LONGEST_TEXT + 60


def test_a_response_never_repeats_its_own_challenge() -> None:
    client = a_client()
    for number in range(20):
        client.receive(Packet(CHALLENGE, number, b"\x10" + bytes(15) + bytes((number,))), 0)
    own = {sent.data[1:17] for sent in client.take_packets()}
    assert len(own) == 20
