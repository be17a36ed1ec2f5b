"""What the words of a script stand for, and what is said of those that stand for nothing."""

from pathlib import Path

import pytest

from router.chat.script import parse_script
from router.chat.steps import (
    Attempt,
    Break,
    Echo,
    Expect,
    Hangup,
    Number,
    Octets,
    Part,
    Pause,
    Say,
    Secret,
    Speech,
    Step,
    Timeout,
    Watch,
    Watchword,
)
from router.errors import ConfigError

ETC = Path(__file__).parents[3] / "etc"


def steps(text: str) -> list[Step]:
    return list(parse_script(text, "a.chat").steps)


def sent(word: str) -> tuple[Part, ...]:
    _, speech = steps(f"'' {word}")
    assert isinstance(speech, Speech)
    return speech.parts


def spelt(word: str) -> bytes:
    """What a send string without numbers and pauses comes to."""
    parts = sent(word)
    assert all(isinstance(part, Octets) for part in parts)
    return b"".join(part.value for part in parts if isinstance(part, Octets))


def expected(word: str) -> list[bytes]:
    (expect,) = steps(word)
    assert isinstance(expect, Expect)
    return [attempt.expected for attempt in expect.attempts]


def problems(text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parse_script(text, "a.chat")
    return list(caught.value.problems)


def test_pairs_go_over_the_ends_of_lines() -> None:
    script = """
        # a comment
    a b\tc
    #   another

    \td   'e f'\r
    """
    assert steps(script) == [
        Expect((Attempt(b"a"),)),
        Speech((Octets(b"b"), Octets(b"\r"))),
        Expect((Attempt(b"c"),)),
        Speech((Octets(b"d"), Octets(b"\r"))),
        Expect((Attempt(b"e f"),)),
    ]


@pytest.mark.parametrize(
    ("text", "step"),
    [
        ("ABORT 'NO CARRIER'", Watch(Watchword.ABORT, b"NO CARRIER", wanted=True)),
        (r"CLR_ABORT NO\sCARRIER", Watch(Watchword.ABORT, b"NO CARRIER", wanted=False)),
        ("REPORT A-B", Watch(Watchword.REPORT, b"A-B", wanted=True)),
        ("CLR_REPORT CONNECT", Watch(Watchword.REPORT, b"CONNECT", wanted=False)),
        ("TIMEOUT 1", Timeout(1.0)),
        ("TIMEOUT 86400", Timeout(86400.0)),
        ("ECHO ON", Echo(wanted=True)),
        ("ECHO OFF", Echo(wanted=False)),
        ("HANGUP ON", Hangup(ends=True)),
        ("HANGUP OFF", Hangup(ends=False)),
        ("SAY 'Gr\u00fc\u00dfe,\\tdialling\\n'", Say("Gr\u00fc\u00dfe, dialling")),
        ("SAY ''", Say("")),
        ('"ABORT" BUSY', Watch(Watchword.ABORT, b"BUSY", wanted=True)),
        ("'TIMEOUT' 5", Timeout(5.0)),
        ("'abort'", Expect((Attempt(b"abort"),))),
        ('"TIMOUT"', Expect((Attempt(b"TIMOUT"),))),
        ("ABORTED", Expect((Attempt(b"ABORTED"),))),
        ("TIME", Expect((Attempt(b"TIME"),))),
        (r"\\ABORT", Expect((Attempt(b"\\ABORT"),))),
    ],
)
def test_keywords(text: str, step: Step) -> None:
    assert steps(text) == [step]


def test_a_keyword_is_one_only_where_something_is_expected() -> None:
    assert spelt("ABORT") == b"ABORT\r"
    assert steps("ABORT ABORT") == [Watch(Watchword.ABORT, b"ABORT", wanted=True)]


@pytest.mark.parametrize(
    ("word", "strings"),
    [
        ("''", [b""]),
        ('""', [b""]),
        ("OK", [b"OK"]),
        ("'#1'", [b"#1"]),
        (r"'it\'s'", [b"it's"]),
        ("'say \"so\"'", [b'say "so"']),
        ('"it\'s"', [b"it's"]),
        ("it's", [b"it's"]),
        (r"\b\n\r\s\t\\", [b"\b\n\r \t\\"]),
        (r"\7\33\177\1234", [b"\x07\x1b\x7fS4"]),
        (r"^A^z^[^]^^^_^\x", [b"\x01\x1a\x1b\x1d\x1e\x1f\x1cx"]),
        (r"\^\-\@\#\$", [b"^-@#$"]),
        ("ogin:--ogin:", [b"ogin:", b"ogin:"]),
        (r"'a\-b-c d-e'", [b"a-b", b"e"]),
        (r"a\\-b", [b"a\\"]),
        ("a-b", [b"a"]),
        ("a-", [b"a"]),
        ("a--", [b"a"]),
    ],
)
def test_expect_strings(word: str, strings: list[bytes]) -> None:
    assert expected(word) == strings


@pytest.mark.parametrize(
    ("word", "otherwise"),
    [
        ("ogin:--ogin:", [b"\r", None]),
        ("ogin:-x-ogin:-y-ogin:", [b"x\r", b"y\r", None]),
        (r"a-b\-c\c-d", [b"b-c", None]),
        ("a-b", [b"b\r"]),
        ("a-", [None]),
        ("a--", [b"\r"]),
        ("a-EOT-b", [b"\x04", None]),
    ],
)
def test_what_is_sent_if_a_string_does_not_come(word: str, otherwise: list[bytes | None]) -> None:
    (expect,) = steps(word)
    assert isinstance(expect, Expect)
    speeches = [attempt.otherwise for attempt in expect.attempts]
    assert [joined(speech) for speech in speeches] == otherwise


def joined(speech: Speech | None) -> bytes | None:
    if speech is None:
        return None
    return b"".join(part.value for part in speech.parts if isinstance(part, Octets))


@pytest.mark.parametrize(
    ("word", "octets"),
    [
        ("''", b"\r"),
        (r"\c", b""),
        (r"ATZ\c", b"ATZ"),
        ("ATDT*99#", b"ATDT*99#\r"),
        ("a-b", b"a-b\r"),
        (r"\qsecret", b"secret\r"),
        (r"secret\q\c", b"secret"),
        (r"\b\n\r\s\t\\\N", b"\b\n\r \t\\\0\r"),
        (r"\0\000\377\60", b"\0\0\xff0\r"),
        ("^C^@^^", b"\x03\0\x1e\r"),
        (r"\^\'\"\@x", b"^'\"@x\r"),
        ("@", b"@\r"),
        ("gr\u00fcn", b"gr\xc3\xbcn\r"),
        ("EOT", b"\x04"),
        ("eot", b"eot\r"),
        ("'it is'", b"it is\r"),
    ],
)
def test_send_strings(word: str, octets: bytes) -> None:
    assert spelt(word) == octets


@pytest.mark.parametrize(
    ("word", "parts"),
    [
        (r"\d\p\K\c", (Pause(1.0), Pause(0.1), Break())),
        ("BREAK", (Break(),)),
        (r"ATDT\T", (Octets(b"ATDT"), Number(), Octets(b"\r"))),
        ("@isp.password", (Secret("isp.password"), Octets(b"\r"))),
        ("'@ my file'", (Secret("my file"), Octets(b"\r"))),
    ],
)
def test_send_strings_in_parts(word: str, parts: tuple[Part, ...]) -> None:
    assert sent(word) == parts


@pytest.mark.parametrize(
    ("word", "dials"),
    [
        ("ATDT5551234", True),
        ("atdp5551234", True),
        ("ATX3DT5551234", True),
        (r"\pATD*99#", True),
        (r"\T", True),
        ("ATZ", False),
        ("AT&D2", False),
        ("AT&FX3&D2", False),
        (r"hello\sDT", False),
    ],
)
def test_which_strings_dial(word: str, dials: bool) -> None:
    _, speech = steps(f"'' {word}")
    assert isinstance(speech, Speech)
    assert speech.dials is dials


def test_what_a_script_needs() -> None:
    assert not parse_script("'' ATZ OK \\c", "a.chat").needs_number
    script = parse_script(r"a-ATDT\T-b @one c-@two-d @one", "a.chat")
    assert script.needs_number
    assert script.files == ("one", "two")


SAMPLES = [
    ("isp.chat", True, ("isp.password",)),
    ("isp-down.chat", False, ()),
]


@pytest.mark.parametrize(("name", "dials"), [each[:2] for each in SAMPLES])
def test_the_samples_need_no_files(name: str, *, dials: bool) -> None:
    sample = parse_script((ETC / name).read_text(), name)
    assert sample.needs_number is dials
    assert sample.files == ()


@pytest.mark.parametrize(("name", "dials", "files"), SAMPLES)
def test_what_a_sample_has_commented_out_can_be_taken_in(
    name: str, files: tuple[str, ...], *, dials: bool
) -> None:
    lines = (ETC / name).read_text().split("\n")
    taken = [line[1:] if line[:1] == "#" and line[1:2].strip() else line for line in lines]
    assert taken != lines
    sample = parse_script("\n".join(taken), name)
    assert (sample.needs_number, sample.files) == (dials, files)


# Mistakes

IN_EXPECT = (
    'a backslash stands before one of "b n r s t", octal digits, or a mark that means itself'
)
IN_SEND = (
    'a backslash stands before one of "b c d K n N p q r s t T", octal digits,'
    " or a mark that means itself"
)
CONTROL = r'"^" stands before a letter or one of "@[\]^_"; the mark itself is "\^"'
HEARD = "an octet is from 1 to 177 in octal; NUL is not listened to, the eighth bit may be parity"
SECOND_NUMBER = r'there is no "\U"; each number of a link is "\T" in its turn'
HYPHEN = r'nothing is awaited at a "-", and nothing after it; a hyphen itself is "\-"'


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("'' 'ATZ", ["the quote ' does not end on its line"]),
        (r"'' 'ATZ\'", ["the quote ' does not end on its line"]),
        ('"', ['the quote " does not end on its line']),
        ("'a'b", ["after the end of a quote comes a space or the end of the line"]),
        ("'a''b'", ["after the end of a quote comes a space or the end of the line"]),
        ("OK ATZ # reset", ['a comment has a line of its own; a word with "#" first is quoted']),
        ("ABORT", ["ABORT at the end takes a string, and there is none"]),
        ("TIMEOUT", ["TIMEOUT at the end takes a number of seconds, and there is none"]),
        ("HANGUP", ['HANGUP at the end takes "ON" or "OFF", and there is none']),
        ("ABORT ''", ["after ABORT stands a string that is not empty"]),
        ("CLR_REPORT ''", ["after CLR_REPORT stands a string that is not empty"]),
        (r"ABORT \x", [f"after ABORT {IN_EXPECT}"]),
        ("TIMEOUT 0", ['after TIMEOUT stand seconds from 1 to 86400, such as "45"']),
        ("TIMEOUT 86401", ['after TIMEOUT stand seconds from 1 to 86400, such as "45"']),
        ("TIMEOUT 5s", ['after TIMEOUT stand seconds from 1 to 86400, such as "45"']),
        ("TIMEOUT \u0665", ['after TIMEOUT stand seconds from 1 to 86400, such as "45"']),
        ("TIMEOUT " + "9" * 5000, ['after TIMEOUT stand seconds from 1 to 86400, such as "45"']),
        ("ECHO on", ['after ECHO stands "ON" or "OFF"']),
        ("HANGUP NO", ['after HANGUP stands "ON" or "OFF"']),
        (r"SAY 'to \T'", [f"after SAY {IN_EXPECT}"]),
        (r"\8", [f"in an expect string {IN_EXPECT}"]),
        ("a\\", [f"in an expect string {IN_EXPECT}"]),
        (r"\400", [r"in an expect string octal digits after a backslash are from 0 to 377"]),
        (r"\0", [f"in an expect string {HEARD}"]),
        ("a^@", [f"in an expect string {HEARD}"]),
        (r"\200", [f"in an expect string {HEARD}"]),
        ("gr\u00fcn", [f"in an expect string {HEARD}"]),
        ("^1", [f"in an expect string {CONTROL}"]),
        ("a^", [f"in an expect string {CONTROL}"]),
        ("-BREAK-ogin:", [f"in an expect string {HYPHEN}"]),
        ("a-b--c-d", [f"in an expect string {HYPHEN}"]),
        (r"'' \x", [f"in a send string {IN_SEND}"]),
        (r"'' a\cb", [r'in a send string "\c" must end it']),
        (r"'' \U", [f"in a send string {SECOND_NUMBER}"]),
        (r"'' \777", ["in a send string octal digits after a backslash are from 0 to 377"]),
        ("'' ^", [f"in a send string {CONTROL}"]),
        (r"a-\x-b", [f"in what is sent if a string does not come {IN_SEND}"]),
        (r"\x\y-\z^1-b", [f"in an expect string {IN_EXPECT}"] * 2
            + [f"in what is sent if a string does not come {each}" for each in (IN_SEND, CONTROL)]),
    ],
)  # fmt: skip
def test_a_mistake(text: str, sentences: list[str]) -> None:
    assert problems(text) == [f"a.chat:1: {sentence}" for sentence in sentences]


@pytest.mark.parametrize("escape", "cdKNpqT")
def test_what_is_sent_stands_where_something_is_expected(escape: str) -> None:
    hint = (
        f'; "\\{escape}" is for what is sent, so the pairs may have shifted:'
        " is a quote or a '' missing above?"
    )
    assert problems(f"ATDT\\{escape}") == [f"a.chat:1: in an expect string {IN_EXPECT}{hint}"]
    assert problems(f"ABORT \\{escape}") == [f"a.chat:1: after ABORT {IN_EXPECT}"]


def test_a_missing_quote_shifts_the_pairs_and_is_looked_for_above() -> None:
    script = "ABORT BUSY\nABORT NO CARRIER\n'' ATZ\nOK ATDT\\T\nCONNECT \\c"
    told = problems(script)
    assert [problem.split(": ")[0] for problem in told] == ["a.chat:4", "a.chat:5"]
    assert all(problem.endswith("is a quote or a '' missing above?") for problem in told)


@pytest.mark.parametrize(
    ("word", "keyword"),
    [
        ("abort", "ABORT"),
        ("Timeout", "TIMEOUT"),
        ("TIMOUT", "TIMEOUT"),
        ("TIMEOUTT", "TIMEOUT"),
        ("TIMEUOT", "TIMEOUT"),
        ("timout", "TIMEOUT"),
        ("ABBORT", "ABORT"),
        ("CLRABORT", "CLR_ABORT"),
        ("REPROT", "REPORT"),
        ("hangup", "HANGUP"),
        ("echo", "ECHO"),
        ("SYA", "SAY"),
    ],
)
def test_what_is_nearly_a_keyword(word: str, keyword: str) -> None:
    values = {"TIMEOUT": "5", "HANGUP": "ON", "ECHO": "ON"}
    script = f"{word} {values.get(keyword, 'BUSY')}\n'' ATZ OK"
    assert problems(script) == [
        f"a.chat:1: a word looks like the keyword {keyword}: write {keyword},"
        " or quote the word if it is to be expected"
    ]
    assert spelt(word) == f"{word}\r".encode()


def test_the_value_of_what_is_nearly_a_keyword_is_judged_too() -> None:
    assert problems("timout never")[1:] == [
        'a.chat:1: after TIMEOUT stand seconds from 1 to 86400, such as "45"'
    ]


def test_all_mistakes_at_once_each_at_its_line() -> None:
    script = r"""
        ABORT BUSY
        TIMEOUT never
        # 'quotes in comments
        '' 'AT&F

        OK ATDT\T 'CONNECT
        x\U \d ok TIMEOUT

    """
    assert [problem.split(": ")[0] for problem in problems(script)] == [
        f"a.chat:{line}" for line in (3, 5, 7, 8, 8, 8)
    ]


def test_no_mistake_shows_what_is_sent() -> None:
    script = r"""
        '' hush\x  a hush\777  b hush^  c-hush\x-d 'hush
        e 'hush'hush f hush\Uhush g hush # hush
        ABORT
    """
    told = problems(script)
    assert len(told) == 9
    assert "hush" not in " ".join(told)
