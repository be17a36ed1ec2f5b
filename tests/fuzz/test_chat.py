"""Any text is a script or problems that each name a line; any script survives any modem."""

from hypothesis import example, given
from hypothesis import strategies as st

from router.chat.machine import MAX_UNREAD, Chat, Done, Effect, Failed, Send, State
from router.chat.script import Script, parse_script
from router.errors import ConfigError

_WORDS = [
    "ABORT", "CLR_ABORT", "REPORT", "CLR_REPORT", "TIMEOUT", "ECHO", "HANGUP", "SAY", "ON", "OFF",
    "EOT", "BREAK", "''", '""', "'", '"', "#", "-", "\\", "^", "@", "@file", "@no\\-file", "\\c",
    "\\d", "\\p", "\\K", "\\N", "\\T", "\\U", "\\q", "\\0", "\\377", "\\400", "^C", "^", "\x00",
    "OK", "K", "CONNECT", "ogin:--ogin:", "ogin:-BREAK-ogin:", "1", "45", "9" * 5000, "\u0664",
    "\u2028", "\u00e9", "\r", "\x0b",
]  # fmt: skip
_GOOD = [
    "ABORT BUSY", "CLR_ABORT BUSY", "REPORT CONNECT", "CLR_REPORT CONNECT", "TIMEOUT 2", "ECHO ON",
    "ECHO OFF", "HANGUP OFF", "HANGUP ON", "SAY dialling", "'' ATZ", "OK ATDT\\T", "CONNECT \\c",
    "ogin:--ogin:-BREAK-ogin: @file", "K-x-O \\d\\pK\\K", "A EOT", "'' BREAK", "'' \\d\\c",
]  # fmt: skip
_pieces = st.lists(st.sampled_from([*_WORDS, *_GOOD, " ", " ", "\n"]), max_size=30)
texts = _pieces.map("".join) | _pieces.map(" ".join) | st.text(max_size=60)
scripts = st.lists(st.sampled_from(_GOOD), max_size=12).map("\n".join)

_SAID = [
    b"OK\r\n", b"BUSY", b"CONNECT", b" 33600\r\n", b"login:", b"K", b"A", b"\xcf\x4b", b"\x00",
    b"\r", b"~\xff}#\xc0!", b"x" * 300, b"y" * (MAX_UNREAD + 1),
]  # fmt: skip
# What a modem says, or for how long it is silent, or that it hangs up.
_turns = st.sampled_from(_SAID) | st.binary(max_size=8) | st.floats(0, 3) | st.none()
modems = st.lists(_turns, max_size=20)
SECRET = b"secret"
FILES = ("file", "no-file")


def judged(text: str) -> Script | ConfigError:
    try:
        return parse_script(text, "isp.chat")
    except ConfigError as error:
        return error


@given(texts)
@example("\n".join(_GOOD))
@example("TIMEOUT " + "9" * 5000)
@example("'' '\\")
def test_any_text(text: str) -> None:
    script = judged(text)
    if isinstance(script, Script):
        chat = Chat(script, "555", dict.fromkeys(script.files, SECRET))
        chat.start(0.0)
        assert (chat.state is State.OVER) == (chat.next_deadline() is None)
        return
    assert script.problems
    for problem in script.problems:
        name, line, sentence = problem.split(":", 2)
        assert name == "isp.chat"
        assert 1 <= int(line) <= text.count("\n") + 1
        assert sentence.strip()
        assert "Exceeds the limit" not in sentence  # Python's own words for thousands of digits


def run(script: Script, modem: list[bytes | float | None], size: int) -> list[Effect]:
    """Return all that is done with a modem whose octets come `size` at a time."""
    chat, now = Chat(script, "555", dict.fromkeys(FILES, SECRET)), 0.0
    chat.start(now)
    effects: list[Effect] = []
    rest = b""
    for turn in modem:
        if turn is None:
            chat.carrier_lost(now)
        elif isinstance(turn, float):
            now += turn
            chat.handle_timer(now)
        else:
            for at in range(0, len(turn), size):
                if chat.state is State.OVER:
                    rest += turn[at:]
                    break
                chat.receive(turn[at : at + size], now)
        effects += chat.take_effects()
    if effects and isinstance(effects[-1], Done):
        effects[-1] = Done(effects[-1].rest + rest, effects[-1].reports)
    return effects


@given(scripts, modems)
@example("OK ATDT\\T\nREPORT CONNECT\nCONNECT \\d\\c", [b"OK", b"CONNECT", b" 1\r~", 1.0, b"~"])
def test_any_modem(text: str, modem: list[bytes | float | None]) -> None:
    script = parse_script(text, "isp.chat")
    effects = run(script, modem, MAX_UNREAD * 2)
    assert run(script, modem, 7) == effects
    assert all(not isinstance(effect, Done | Failed) for effect in effects[:-1])
    assert SECRET.decode() not in repr(effects)
    assert all(effect.octets for effect in effects if isinstance(effect, Send))
    # Never does a PPP octet get lost: what is left is the end of what was said.
    if effects and isinstance(effects[-1], Done):
        said = b"".join(turn for turn in modem if isinstance(turn, bytes))
        assert said.endswith(effects[-1].rest)
