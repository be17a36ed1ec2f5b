import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.units import format_duration, format_size, parse_duration, parse_size


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0s", 0),
        ("90s", 90),
        ("5m", 300),
        ("2h4m", 7440),
        ("1h1s", 3601),
        ("90m", 5400),
        ("1h30m15s", 5415),
    ],
)
def test_durations(text: str, seconds: int) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text",
    [
        "",
        "90",
        "s",
        "90 s",
        " 90s",
        "90s\n",
        "-5m",
        "1.5h",
        "5M",
        "4m2h",
        "5m5m",
        "90 parsecs",
        "٣s",
    ],
)
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match=r'is not a duration such as "90s", "5m" or "2h4m"$'):
        parse_duration(text)


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0s"), (59, "59s"), (60, "1m"), (7440, "2h4m"), (3661, "1h1m1s")]
)
def test_durations_are_written_as_briefly_as_they_can_be(seconds: int, text: str) -> None:
    assert format_duration(seconds) == text


@given(st.integers(0, 10**9))
def test_a_written_duration_reads_back(seconds: int) -> None:
    assert parse_duration(format_duration(seconds)) == seconds


@pytest.mark.parametrize(
    ("text", "size"),
    [("0B", 0), ("1500B", 1500), ("64KiB", 65536), ("1MiB", 1 << 20), ("2GiB", 1 << 31)],
)
def test_sizes(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize(
    "text", ["", "64", "KiB", "64 KiB", "64kb", "64KB", "-1KiB", "1.5MiB", "1B\n"]
)
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(ValueError, match=r'is not a size such as "1500B", "64KiB" or "1MiB"$'):
        parse_size(text)


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0B"), (1500, "1500B"), (65536, "64KiB"), (200 << 20, "200MiB"), (1 << 40, "1024GiB")],
)
def test_sizes_are_written_in_the_largest_unit_that_leaves_no_rest(size: int, text: str) -> None:
    assert format_size(size) == text


@given(st.integers(0, 999_999_999), st.sampled_from(["B", "KiB", "MiB", "GiB"]))
def test_a_written_size_reads_back(number: int, unit: str) -> None:
    size = parse_size(f"{number}{unit}")
    assert parse_size(format_size(size)) == size
