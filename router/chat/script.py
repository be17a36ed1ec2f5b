r"""The language of chat scripts: what to expect from a modem, and what to send it.

Words in pairs, in the syntax of chat(8); a line that starts with `#` is a comment:

    ABORT   BUSY
    TIMEOUT 5
    ''      ATZ
    OK      ATDT\T
    TIMEOUT 60
    CONNECT '\c'
    ogin:--ogin: ppp  ssword: '@isp.password'

The first word of a pair is expected, the second is sent then. Some first words mean something else:
`_KEYWORDS`. What chat(8) would take for something that was hardly meant is refused here: a word
that follows a quote without a space, a comment behind words, an escape that does not exist, a word
without quotes that is nearly a keyword. Quotes make no difference to a keyword, as in chat(8).
"""

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from router.chat.steps import (
    Attempt,
    Echo,
    Expect,
    Hangup,
    Say,
    Script,
    Step,
    Timeout,
    Watch,
    Watchword,
)
from router.chat.strings import (
    Complain,
    read_expected,
    read_speech,
    read_text,
    sends,
    split_attempts,
)
from router.errors import ConfigError

__all__ = ["Script", "parse_script"]

_BLANKS = " \t\r"
_BLANK = re.compile(r"[ \t\r]*")
_BARE = re.compile(r"[^ \t\r]+")
_QUOTED = {
    "'": re.compile(r"'((?:[^'\\]|\\.)*)'", re.DOTALL),
    '"': re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL),
}
_MAX_TIMEOUT = 86400  # seconds: a day, for scripts that wait to be called
_SHIFTED = (
    r'; "\{}" is for what is sent, so the pairs may have shifted:'
    " is a quote or a '' missing above?"
)
_SECONDS = re.compile(r"[0-9]{1,5}")


def parse_script(text: str, origin: str) -> Script:
    """Return the script in `text`; raise ConfigError with every problem, each at `origin:LINE`."""
    problems: list[str] = []
    steps = tuple(_Reader(text, origin, problems).steps())
    if problems:
        raise ConfigError(problems)
    return Script(steps)


class _Word(NamedTuple):
    text: str
    quoted: bool = False


class _Reader:
    """Reads one script word by word and keeps each problem, so that none hides the next."""

    def __init__(self, text: str, origin: str, problems: list[str]) -> None:
        self._lines = text.split("\n")
        self._origin = origin
        self._problems = problems
        self._line = 0

    def steps(self) -> Iterator[Step]:
        words = self._words()
        for word in words:
            keyword = self._keyword(word)
            if keyword:
                yield from self._setting(keyword, next(words, None))
                continue
            yield self._expect(word.text)
            sent = next(words, None)
            if sent is not None:
                yield read_speech(sent.text, self._complainer("in a send string"))

    def _keyword(self, word: _Word) -> str:
        """Return the keyword that a word is, or is nearly, which is refused; else none."""
        if word.text in _KEYWORDS:
            return word.text
        near = "" if word.quoted else _nearly(word.text)
        if near:
            self._refuse(
                f"a word looks like the keyword {near}: write {near}, or quote the word if it is"
                " to be expected"
            )
        return near

    def _setting(self, keyword: str, value: _Word | None) -> Iterator[Step]:
        if value is None:
            self._refuse(f"{keyword} at the end {_TAKES[keyword]}, and there is none")
        else:
            yield _KEYWORDS[keyword](value.text, self._complainer(f"after {keyword}"))

    def _expect(self, word: str) -> Expect:
        strings = split_attempts(word)
        expecting = self._complainer("in an expect string")
        sending = self._complainer("in what is sent if a string does not come")
        attempts = tuple(
            Attempt(
                read_expected(expected, self._in_expect_string(expected)),
                read_speech(strings[at + 1], sending) if at + 1 < len(strings) else None,
            )
            for at, expected in zip(range(0, len(strings), 2), strings[::2], strict=True)
        )
        if len(strings) > 1 and not all(strings[::2]):
            expecting('nothing is awaited at a "-", and nothing after it; a hyphen itself is "\\-"')
        return Expect(attempts)

    def _in_expect_string(self, text: str) -> Complain:
        """Return who complains; where a string is one to send, the cause is often further up."""
        escape = sends(text)
        hint = _SHIFTED.format(escape) if escape else ""
        return lambda sentence: self._refuse(f"in an expect string {sentence}{hint}")

    # Words

    def _words(self) -> Iterator[_Word]:
        for number, line in enumerate(self._lines, start=1):
            statement = line.strip(_BLANKS)
            if statement and not statement.startswith("#"):
                self._line = number
                yield from self._words_of(statement)

    def _words_of(self, line: str) -> Iterator[_Word]:
        at = 0
        while at < len(line):
            at = _end(_BLANK, line, at)
            if line[at] == "#":
                self._refuse('a comment has a line of its own; a word with "#" first is quoted')
                return
            quoted = _QUOTED.get(line[at])
            if quoted is None:
                end = _end(_BARE, line, at)
                yield _Word(line[at:end])
            else:
                match = quoted.match(line, at)
                if match is None:
                    self._refuse(f"the quote {line[at]} does not end on its line")
                    yield _Word("", quoted=True)
                    return
                end = _end(_BARE, line, match.end())
                if end > match.end():
                    self._refuse("after the end of a quote comes a space or the end of the line")
                yield _Word(match[1], quoted=True)
            at = end

    # Problems

    def _refuse(self, sentence: str) -> None:
        self._problems.append(f"{self._origin}:{self._line}: {sentence}")

    def _complainer(self, where: str) -> Complain:
        return lambda sentence: self._refuse(f"{where} {sentence}")


def _end(pattern: re.Pattern[str], line: str, at: int) -> int:
    match = pattern.match(line, at)
    return match.end() if match else at


# Keywords, each with the word that follows it.


def _watch(word: Watchword, *, wanted: bool) -> Callable[[str, Complain], Watch]:
    def read(value: str, complain: Complain) -> Watch:
        string = read_expected(value, complain)
        if not value:
            complain("stands a string that is not empty")
        return Watch(word, string, wanted)

    return read


def _timeout(value: str, complain: Complain) -> Timeout:
    seconds = int(value) if _SECONDS.fullmatch(value) else 0
    if not 1 <= seconds <= _MAX_TIMEOUT:
        complain(f'stand seconds from 1 to {_MAX_TIMEOUT}, such as "45"')
    return Timeout(float(seconds))


def _switch(value: str, complain: Complain) -> bool:
    if value not in ("ON", "OFF"):
        complain('stands "ON" or "OFF"')
    return value == "ON"


def _echo(value: str, complain: Complain) -> Echo:
    return Echo(_switch(value, complain))


def _hangup(value: str, complain: Complain) -> Hangup:
    return Hangup(_switch(value, complain))


def _say(value: str, complain: Complain) -> Say:
    return Say(read_text(value, complain))


_KEYWORDS: dict[str, Callable[[str, Complain], Step]] = {
    "ABORT": _watch(Watchword.ABORT, wanted=True),
    "CLR_ABORT": _watch(Watchword.ABORT, wanted=False),
    "REPORT": _watch(Watchword.REPORT, wanted=True),
    "CLR_REPORT": _watch(Watchword.REPORT, wanted=False),
    "TIMEOUT": _timeout,
    "ECHO": _echo,
    "HANGUP": _hangup,
    "SAY": _say,
}
_TAKES = {
    **dict.fromkeys(_KEYWORDS, "takes a string"),
    "TIMEOUT": "takes a number of seconds",
    **dict.fromkeys(("ECHO", "HANGUP"), 'takes "ON" or "OFF"'),
}


def _nearly(word: str) -> str:
    """Return the keyword that a word would be in other case, or but for one letter, else none.

    The letter is missing, or there twice, or has changed places with the next one.
    """
    return _NEARLY.get(word.upper(), "")


def _slips(keyword: str) -> Iterator[str]:
    for at, letter in enumerate(keyword):
        yield keyword[:at] + keyword[at + 1 :]
        yield keyword[:at] + letter + keyword[at:]
        yield keyword[:at] + keyword[at + 1 : at + 2] + letter + keyword[at + 2 :]


_NEARLY = {slip: keyword for keyword in _KEYWORDS for slip in (keyword, *_slips(keyword))}
