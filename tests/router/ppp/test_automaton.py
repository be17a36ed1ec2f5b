"""The automaton against the table of RFC 1661 section 4.1, and its timer."""

import pytest

from router.ppp.automaton import TRANSITIONS, Act, Automaton, Event, State
from router.ppp.types import Retries

# As the RFC prints it, both halves of the page beside each other. Letters behind a state are
# footnotes: r and p are options nobody has to implement, x explains.
RFC_1661 = """
      Initial Starting Closed Stopped Closing Stopping Req-Sent Ack-Rcvd Ack-Sent Opened
Up    2 irc,scr/6 - - - - - - - -
Down  - - 0 tls/1 0 1 1 1 1 tld/1
Open  tls/1 1 irc,scr/6 3r 5r 5r 6 7 8 9r
Close 0 tlf/0 2 2 4 4 irc,str/4 irc,str/4 irc,str/4 tld,irc,str/4
TO+   - - - - str/4 str/5 scr/6 scr/6 scr/8 -
TO-   - - - - tlf/2 tlf/3 tlf/3p tlf/3p tlf/3p -
RCR+  - - sta/2 irc,scr,sca/8 4 5 sca/8 sca,tlu/9 sca/8 tld,scr,sca/8
RCR-  - - sta/2 irc,scr,scn/6 4 5 scn/6 scn/7 scn/6 tld,scr,scn/6
RCA   - - sta/2 sta/3 4 5 irc/7 scr/6x irc,tlu/9 tld,scr/6x
RCN   - - sta/2 sta/3 4 5 irc,scr/6 scr/6x irc,scr/8 tld,scr/6x
RTR   - - sta/2 sta/3 sta/4 sta/5 sta/6 sta/6 sta/6 tld,zrc,sta/5
RTA   - - 2 3 tlf/2 tlf/3 6 6 8 tld,scr/6
RUC   - - scj/2 scj/3 scj/4 scj/5 scj/6 scj/7 scj/8 scj/9
RXJ+  - - 2 3 4 5 6 6 8 9
RXJ-  - - tlf/2 tlf/3 tlf/2 tlf/3 tlf/3 tlf/3 tlf/3 tld,irc,str/5
RXR   - - 2 3 4 5 6 7 8 ser/9
"""

HEADER, *ROWS = [line.split() for line in RFC_1661.strip().splitlines()]


def cell(state: State, event: Event) -> str:
    """A transition as the RFC writes it."""
    acts, after = TRANSITIONS[state][event]
    number = str(list(State).index(after))
    return f"{','.join(act.value for act in acts)}/{number}" if acts else number


def test_the_states_are_the_rfcs() -> None:
    assert [state.value for state in State] == HEADER


def test_the_events_are_the_rfcs() -> None:
    assert [event.value for event in Event] == [row[0] for row in ROWS]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_the_table_is_the_one_in_the_rfc(row: list[str]) -> None:
    event = Event(row[0])
    for state, written in zip(State, row[1:], strict=True):
        stays = str(list(State).index(state))
        assert cell(state, event) == (stays if written == "-" else written.rstrip("rpx")), state


def test_timer_and_counters_have_the_rfcs_defaults() -> None:
    defaults = Retries()
    assert (defaults.restart_s, defaults.max_terminate) == (3.0, 2)
    assert (defaults.max_configure, defaults.max_failure) == (10, 5)


RETRIES = Retries(restart_s=3.0, max_terminate=2, max_configure=4)


def requesting() -> Automaton:
    """One that has sent its first request at 0."""
    automaton = Automaton(RETRIES)
    automaton.step(Event.OPEN, 0.0)
    assert automaton.step(Event.UP, 0.0) == (Act.INIT_COUNT, Act.REQUEST)
    return automaton


def run_out(automaton: Automaton) -> list[tuple[float, str]]:
    """Let the restart timer run until it is not started again: when, and which event it was."""
    seen = []
    while (at := automaton.next_deadline()) is not None:
        assert automaton.timeout(at - 0.001) is None
        event = automaton.timeout(at)
        assert event is not None
        automaton.step(event, at)
        seen.append((at, event.value))
    return seen


def test_requests_are_repeated_until_the_counter_is_used_up() -> None:
    automaton = requesting()
    assert run_out(automaton) == [(3.0, "TO+"), (6.0, "TO+"), (9.0, "TO+"), (12.0, "TO-")]
    assert automaton.state is State.STOPPED


def test_terminate_requests_have_their_own_count() -> None:
    automaton = requesting()
    automaton.step(Event.CLOSE, 1.0)
    assert run_out(automaton) == [(4.0, "TO+"), (7.0, "TO-")]
    assert automaton.state is State.CLOSED


def test_an_answer_starts_the_count_again() -> None:
    automaton = requesting()
    for at in (3.0, 6.0):
        automaton.step(Event.TIMEOUT, at)
    automaton.step(Event.NAKED, 7.0)
    assert run_out(automaton) == [(10.0, "TO+"), (13.0, "TO+"), (16.0, "TO+"), (19.0, "TO-")]


def test_a_peer_that_hangs_up_is_given_one_period() -> None:
    automaton = requesting()
    automaton.step(Event.ACKED, 1.0)
    automaton.step(Event.REQUEST_GOOD, 1.0)
    assert (automaton.state, automaton.next_deadline()) == (State.OPENED, None)
    automaton.step(Event.TERMINATE, 5.0)
    assert run_out(automaton) == [(8.0, "TO-")]


def test_the_timer_goes_on_when_only_one_side_is_agreed() -> None:
    automaton = requesting()
    automaton.step(Event.ACKED, 2.0)
    assert (automaton.state, automaton.next_deadline()) == (State.ACK_RCVD, 3.0)


@pytest.mark.parametrize(
    ("events", "state", "waits"),
    [
        ("", "Initial", False),
        ("Open", "Starting", False),
        ("Up", "Closed", False),
        ("Open Up", "Req-Sent", True),
        ("Open Up RCA", "Ack-Rcvd", True),
        ("Open Up RCR+", "Ack-Sent", True),
        ("Open Up RCA RCR+", "Opened", False),
        ("Open Up RCA RCR+ RTR", "Stopping", True),
        ("Open Up RCA RCR+ RTR TO-", "Stopped", False),
        ("Open Up RCA RCR+ Close", "Closing", True),
        ("Open Up RCA RCR+ Close RTA", "Closed", False),
        ("Open Up RCA RCR+ Down", "Starting", False),
    ],
)
def test_only_who_waits_for_an_answer_has_a_timer(events: str, state: str, waits: bool) -> None:
    automaton = Automaton(RETRIES)
    for event in events.split():
        automaton.step(Event(event), 1.0)
    assert automaton.state.value == state
    assert (automaton.next_deadline() is not None) is waits
