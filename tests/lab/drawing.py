"""State machines as ARCHITECTURE.md shows them, drawn from the tables in force."""

from router.link.machine import TRANSITIONS, Act, Event
from router.link.types import State


def link_table() -> list[str]:
    """The link machine as a Markdown table: rows are states, columns events."""
    lines = [
        "| state | " + " | ".join(event.value for event in Event) + " |",
        "|" + "---|" * (len(Event) + 1),
    ]
    for state in State:
        cells = []
        for event in Event:
            after, act = TRANSITIONS[state][event]
            does = f" / {act.value}" if act is not Act.NONE else ""
            cells.append("." if after is state and not does else f"{after.value}{does}")
        lines.append(f"| {state.value} | " + " | ".join(cells) + " |")
    return lines


def link_diagram() -> list[str]:
    """The link machine as a Mermaid diagram: an arrow per pair of states, its events on it."""
    arrows: dict[tuple[State, State], list[str]] = {}
    for state in State:
        for event in Event:
            after, _ = TRANSITIONS[state][event]
            if after is not state:
                arrows.setdefault((state, after), []).append(event.value)
    lines = ["```mermaid", "stateDiagram-v2", "    [*] --> DORMANT"]
    for (state, after), events in arrows.items():
        lines.append(f"    {state.value} --> {after.value}: {', '.join(events)}")
    return [*lines, "```"]


if __name__ == "__main__":
    print("\n".join([*link_table(), "", *link_diagram()]))
