from typing import Any

import pytest

from router.errors import ConfigError
from router.host.control.fields import LINE_LIMIT, Fields


def problems(fields: Fields) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        fields.check()
    return caught.value.problems


def test_what_is_right_is_returned_as_it_is_meant() -> None:
    fields = Fields(
        {"rule": " a ", "by": " carol ", "right": "raise", "stay": True, "ttl_s": 9, "last": "20"}
    )
    read: list[Any] = [
        fields.text("rule", "a rule"),
        fields.line("by", "a name"),
        fields.choice("right", ["raise", "use"]),
        fields.flag("stay"),
        fields.number("ttl_s", 1, 10),
        fields.numeral("last", 1, 50),
    ]
    fields.check()
    assert read == [" a ", "carol", "raise", True, 9.0, 20.0]


def test_what_may_be_left_out_has_its_default() -> None:
    fields = Fields({})
    assert (fields.line("by", "a name", "nobody"), fields.flag("stay")) == ("nobody", False)
    assert fields.numeral("last", 1, 50) is None
    fields.check()


def test_everything_that_is_wrong_is_told_at_once() -> None:
    fields = Fields({"by": "a\nb", "stay": 1, "ttl_s": float("nan"), "last": "x", "stya": 1})
    fields.text("rule", "a rule")
    fields.line("by", "a name")
    fields.choice("right", ["raise", "use"])
    fields.flag("stay")
    fields.number("ttl_s", 1, 10, " (at most ten)")
    fields.numeral("last", 1, 50)
    assert problems(fields) == (
        "rule: a rule is needed, as text",
        r"by: a name is needed, as text of one line, not 'a\nb'",
        "right: raise or use is needed",
        "stay: true or false is needed, not 1",
        "ttl_s: a number from 1 to 10 is needed (at most ten), not nan",
        "last: a number from 1 to 50 is needed, not 'x'",
        "'stya': there is no such field; there are rule, by, right, stay, ttl_s, last",
    )


@pytest.mark.parametrize("value", [10**400, -(10**400), 0.99, 10.01, "5", [5], {}, False])
def test_what_is_no_number_within_bounds_is_none(value: object) -> None:
    fields = Fields({"ttl_s": value})
    assert fields.number("ttl_s", 1, 10) == 1
    assert problems(fields)[0].startswith("ttl_s: a number from 1 to 10 is needed, not ")


def test_what_is_wrong_is_not_repeated_at_length() -> None:
    fields = Fields({"by": "x" * 50_000, "z" * 50_000: 1})
    fields.line("by", "a name")
    assert all(len(problem) < LINE_LIMIT for problem in problems(fields))
