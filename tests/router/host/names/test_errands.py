"""Scripts of what the gate takes, is told and finds, and what it has done by then."""

import dns.rcode
import pytest

from router.host.names.errands import Ask, Errands, Key, Reply, Seek
from router.host.names.limits import ERRANDS, HOST_ERRANDS, JOINED, LONGEST_WAIT_S
from router.host.names.questions import Answer
from router.link.messages import Coming, Ready
from router.reasons import Reason
from router.wire.address import parse_address
from tests.router.host.names.messages import ALICE, BOB, WWW, answer, query, question

OTHER = "other.example.test A"


class Script:
    """Errands, and each effect as a line."""

    def __init__(self) -> None:
        self.errands = Errands()

    def done(self) -> list[str]:
        return [self._shown(effect) for effect in self.errands.take_effects()]

    @staticmethod
    def _shown(effect: Ask | Seek | Reply) -> str:
        if isinstance(effect, Ask):
            asker = "alice" if effect.key.host == parse_address(ALICE) else "bob"
            since = "" if effect.since is None else f" since {effect.since:g}"
            return f"ask {asker} {effect.key.question.words}{since}"
        if isinstance(effect, Seek):
            return f"seek {effect.question.words} by {effect.link}"
        if isinstance(effect.outcome, Answer):
            return f"answer {effect.asker} #{effect.query.message.id} age {effect.age_s:g}"
        rcode = dns.rcode.to_text(dns.rcode.Rcode.make(effect.outcome))
        return f"{rcode} {effect.asker} #{effect.query.message.id}"

    def take(
        self,
        host: str = ALICE,
        words: str = WWW,
        *,
        asker: str = "",
        number: int = 7,
        now: float = 0.0,
    ) -> list[str]:
        self.errands.take(query(words, host, number), asker or host[-2:], now)
        return self.done()

    def told(
        self, outcome: Ready | Coming | Reason, host: str = ALICE, words: str = WWW
    ) -> list[str]:
        self.errands.told(Key(parse_address(host), question(words)), outcome)
        return self.done()

    def changed(self) -> list[str]:
        self.errands.changed()
        return self.done()

    def found(self, what: Answer | None, words: str = WWW, *, now: float = 0.0) -> list[str]:
        self.errands.found(question(words), what, now)
        return self.done()

    def timer(self, now: float) -> list[str]:
        self.errands.handle_timer(now)
        return self.done()


@pytest.fixture
def script() -> Script:
    return Script()


def test_a_name_while_the_line_is_up(script: Script) -> None:
    assert script.take() == [f"ask alice {WWW}"]
    assert script.told(Ready("isp")) == [f"seek {WWW} by isp"]
    assert script.found(answer()) == ["answer 11 #7 age 0"]
    assert script.errands.under_way == 0


def test_a_name_that_raises_the_line(script: Script) -> None:
    script.take()
    assert script.told(Coming(1.0)) == []
    assert script.errands.waiting == 1
    assert script.changed() == [f"ask alice {WWW} since 1"]
    assert script.told(Coming(1.0)) == []
    assert script.changed() == [f"ask alice {WWW} since 1"]
    assert script.told(Ready("isp")) == [f"seek {WWW} by isp"]
    assert script.found(answer()) == ["answer 11 #7 age 0"]


def test_a_change_that_overtakes_the_answer_of_the_data_plane(script: Script) -> None:
    script.take()
    assert script.changed() == []
    assert script.told(Coming(1.0)) == [f"ask alice {WWW} since 1"]
    assert script.told(Ready("isp")) == [f"seek {WWW} by isp"]


@pytest.mark.parametrize(
    ("reason", "rcode"),
    [
        (Reason.HOST_REFUSED, "REFUSED"),
        *(
            (reason, "SERVFAIL")
            for reason in (
                Reason.MAY_NOT_RAISE, Reason.REJECTED, Reason.IGNORED, Reason.LINE_DENIED,
                Reason.LINE_FAILED,
            )
        ),
    ],
)  # fmt: skip
def test_who_may_not_is_told_at_once(script: Script, reason: Reason, rcode: str) -> None:
    script.take()
    assert script.told(reason) == [f"{rcode} 11 #7"]
    assert script.errands.counts.refused == 1


def test_one_that_fails_after_it_has_waited(script: Script) -> None:
    script.take()
    script.told(Coming(0.0))
    script.changed()
    assert script.told(Reason.LINE_FAILED) == ["SERVFAIL 11 #7"]


def test_repetitions_are_one_errand_with_one_reply_for_each_id(script: Script) -> None:
    script.take()
    assert script.take() == []
    assert script.take(number=8) == []
    script.told(Ready("isp"))
    assert script.take(number=9) == []
    assert script.found(answer()) == [f"answer 11 #{number} age 0" for number in (7, 8, 9)]


def test_hosts_ask_for_themselves_and_share_what_is_found(script: Script) -> None:
    assert script.take() + script.take(BOB) == [f"ask alice {WWW}", f"ask bob {WWW}"]
    assert script.told(Ready("isp")) == [f"seek {WWW} by isp"]
    assert script.told(Ready("isp"), BOB) == []
    assert script.found(answer()) == ["answer 11 #7 age 0", "answer 12 #7 age 0"]


def test_who_comes_too_late_for_an_answer_that_is_not_kept_seeks_it_himself(
    script: Script,
) -> None:
    script.take()
    script.told(Ready("isp"))
    script.take(BOB)
    assert script.found(answer(WWW, rcode="SERVFAIL")) == ["answer 11 #7 age 0"]
    assert script.told(Ready("isp"), BOB) == [f"seek {WWW} by isp"]


def test_what_is_known_needs_no_leave(script: Script) -> None:
    script.take()
    script.told(Ready("isp"))
    script.found(answer(), now=10.0)
    assert script.take(BOB, now=110.0) == ["answer 12 #7 age 100"]
    assert script.take(BOB, OTHER, now=110.0) == [f"ask bob {OTHER}"]
    assert script.take(BOB, now=310.0) == [f"ask bob {WWW}"]
    assert (script.errands.counts.queries, script.errands.counts.cached) == (4, 1)


def test_name_servers_that_say_nothing(script: Script) -> None:
    script.take()
    script.told(Ready("isp"))
    assert script.found(None) == ["SERVFAIL 11 #7"]
    assert script.take() == [f"ask alice {WWW}"]


def test_nobody_waits_for_ever(script: Script) -> None:
    script.take(now=5.0)
    assert script.errands.next_deadline() is None
    script.told(Coming(5.0))
    assert script.errands.next_deadline() == 5.0 + LONGEST_WAIT_S
    assert script.timer(4.9 + LONGEST_WAIT_S) == []
    assert script.timer(5.0 + LONGEST_WAIT_S) == ["SERVFAIL 11 #7"]
    assert script.errands.next_deadline() is None
    assert script.told(Ready("isp")) == []


def test_what_is_beyond_the_bounds_fails_at_once(script: Script) -> None:
    for number in range(JOINED):
        script.take(asker=f"a{number}")
    assert script.take(asker="one more") == ["SERVFAIL one more #7"]
    for number in range(ERRANDS - 1):
        script.take(f"192.168.2.{number % 4}", f"h{number}.test A")
    assert script.take(words=OTHER) == ["SERVFAIL 11 #7"]
    assert script.take(asker="a0") == []
    assert script.errands.under_way == ERRANDS
    assert script.errands.counts.failed == 2


def test_a_host_that_asks_for_everything_leaves_room_for_others(script: Script) -> None:
    for number in range(HOST_ERRANDS):
        assert script.take(words=f"h{number}.test A") != []
    assert script.take(words=OTHER) == ["SERVFAIL 11 #7"]
    assert script.take(BOB, OTHER) == [f"ask bob {OTHER}"]


def state_of(script: Script) -> str:
    errand = script.errands._errands.get(Key(parse_address(ALICE), question()))
    return "over" if errand is None else errand.state.name


WAYS = {
    "ASKING": [],
    "WAITING": [Coming(0.0)],
    "SEEKING": [Ready("isp")],
}
# Transcribed from the theory of operation: what each event makes of each state.
TABLE = """
ASKING  ready SEEKING | ASKING  coming WAITING | ASKING  refused over
ASKING  changed ASKING | ASKING  late ASKING | ASKING  found ASKING
WAITING ready WAITING | WAITING coming WAITING | WAITING refused WAITING
WAITING changed ASKING | WAITING late over | WAITING found WAITING
SEEKING ready SEEKING | SEEKING coming SEEKING | SEEKING refused SEEKING
SEEKING changed SEEKING | SEEKING late SEEKING | SEEKING found over
"""


@pytest.mark.parametrize(
    ("state", "event", "then"),
    [cell.split() for line in TABLE.strip().splitlines() for cell in line.split(" | ")],
)
def test_the_table_of_states(script: Script, state: str, event: str, then: str) -> None:
    script.take()
    for outcome in WAYS[state]:
        script.told(outcome)
    assert state_of(script) == state
    events = {
        "ready": lambda: script.told(Ready("isp")),
        "coming": lambda: script.told(Coming(0.0)),
        "refused": lambda: script.told(Reason.LINE_FAILED),
        "changed": script.changed,
        "late": lambda: script.timer(LONGEST_WAIT_S),
        "found": lambda: script.found(answer()),
    }
    events[event]()
    assert state_of(script) == then
