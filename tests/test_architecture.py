"""What ARCHITECTURE.md says of the code is so."""

from pathlib import Path

from router.nat.tcp import TRANSITIONS, Event, State
from tests.lab.drawing import link_diagram, link_table

ROOT = Path(__file__).parents[1]


def _between(text: str, marker: str) -> list[str]:
    inner = text.split(f"<!-- {marker}:begin -->")[1].split(f"<!-- {marker}:end -->")[0]
    return inner.strip().splitlines()


def _name(state: State) -> str:
    return state.name.lower().replace("_", "-")


def test_the_tcp_table_is_the_one_in_force() -> None:
    rows = _between((ROOT / "ARCHITECTURE.md").read_text(), "tcp-table")[2:]
    written = {
        cells[0]: cells[1:]
        for cells in ([c.strip() for c in row.strip("| ").split("|")] for row in rows)
    }
    events = [
        Event.OUTBOUND_SYN, Event.INBOUND_SYN, Event.OUTBOUND_FIN, Event.INBOUND_FIN,
        Event.OUTBOUND_RST, Event.INBOUND_RST, Event.OUTBOUND_DATA, Event.INBOUND_DATA,
    ]  # fmt: skip
    in_force = {
        _name(state): [_name(TRANSITIONS[state][event]) for event in events] for state in State
    }
    assert written == in_force


def test_the_link_machine_is_drawn_from_the_table_in_force() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text()
    assert _between(text, "link-table") == link_table()
    assert _between(text, "link-diagram") == link_diagram()


def test_every_module_of_the_package_has_a_place_in_the_table() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text()
    for path in (ROOT / "router").iterdir():
        if path.name in ("__init__.py", "__pycache__", "py.typed"):
            continue
        name = f"`{path.stem}/`" if path.is_dir() else f"`{path.stem}`"
        assert name in text, f"{name} is missing"
