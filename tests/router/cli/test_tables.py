import pytest

from router.cli.tables import duration, named, print_table, size, table


def test_in_a_pipe_nothing_is_cut_off(capsys: pytest.CaptureFixture[str]) -> None:
    made = table("Wide", "Number", numbers=("Number",))
    made.add_row("w" * 120, "7")
    print_table(made)
    lines = capsys.readouterr().out.splitlines()
    assert lines[2].split() == ["w" * 120, "7"]
    assert lines[0].endswith("Number")
    assert lines[2].endswith("     7")


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0s"), (0.6, "1s"), (291.2, "4m51s"), (7440, "2h4m")]
)
def test_durations_read_as_in_the_configuration(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_sizes_and_names() -> None:
    assert (size(999), size(1_300_000)) == ("999 bytes", "1.3 MB")
    assert named({"internal": "192.168.1.10:25", "host": "mail"}) == "192.168.1.10:25 mail"
    assert named({"internal": "192.168.1.11:25", "host": ""}) == "192.168.1.11:25"
