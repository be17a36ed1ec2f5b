"""The table of the modem's states, compared with one written down apart from it."""

from router.lab.modemstates import TRANSITIONS, Act, Event, State

# From V.250 sections 5.6 and 6.3 and the manuals of Hayes' modems. A dot leaves the state as it is,
# a bang refuses; the state that is entered, then what the modem does.
WRITTEN = """
event      idle        off hook    ringing     dialling   answering  online         online command
ATD        dialling/d  dialling/d  !           .          .          .              !
ATA        answering/a answering/a answering/a .          .          .              !
ATH0       .           idle        .           .          .          .              idle/h
ATH1       off_hook    .           !           .          .          .              .
ATO        !           !           !           .          .          .              online/c
escape     .           .           .           .          .          online_command .
octet      .           .           .           idle/h     idle/h     .              .
drop       .           idle        .           idle/h     idle/h     idle/h         idle/h
connected  .           .           .           online/c   online/c   .              .
failed     .           .           .           idle/h     idle/h     .              .
lost       .           .           idle        idle/h     idle/h     idle/h         idle/h
ring       ringing/r   .           ./r         .          .          .              .
timeout    .           .           idle        idle/h     idle/h     .              .
"""
ACTS = {
    "": Act.NONE,
    "d": Act.DIAL,
    "a": Act.ANSWER,
    "c": Act.CONNECT,
    "h": Act.HANG_UP,
    "r": Act.RING,
}


def written() -> dict[State, dict[Event, tuple[State, Act]]]:
    table: dict[State, dict[Event, tuple[State, Act]]] = {state: {} for state in State}
    for line in WRITTEN.strip().splitlines()[1:]:
        event, *cells = line.split()
        for state, cell in zip(State, cells, strict=True):
            entered, _, act = cell.partition("/")
            after = state if entered in (".", "!") else State(entered.replace("_", " "))
            table[state][Event(event)] = after, Act.REFUSE if cell == "!" else ACTS[act]
    return table


def test_the_table_is_the_one_written_here() -> None:
    assert written() == TRANSITIONS


def test_every_state_has_every_event() -> None:
    assert {state: set(row) for state, row in TRANSITIONS.items()} == {
        state: set(Event) for state in State
    }
