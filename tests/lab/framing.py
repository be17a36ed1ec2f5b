"""HDLC-like framing octet by octet, as RFC 1662 tells it: slow, and judge of the quick one."""

from collections import Counter
from collections.abc import Iterable

from hypothesis import strategies as st

__all__ = ["cut", "cuts", "decoded", "encoded", "fcs"]

FLAG, ESCAPE = 0x7E, 0x7D
LONGEST = 1506  # octets: address, control, protocol, 1500 of information, FCS

cuts = st.lists(st.integers(1, 40), max_size=20)


def cut(data: bytes, lengths: Iterable[int]) -> list[bytes]:
    """The data in pieces of these lengths, the last one with all the rest."""
    pieces = []
    for length in lengths:
        pieces.append(data[:length])
        data = data[length:]
    return [*pieces, data]


def fcs(data: bytes) -> bytes:
    """The check sequence as it is sent (appendix C), a bit at a time."""
    value = 0xFFFF
    for octet in data:
        value ^= octet
        for _ in range(8):
            value = value >> 1 ^ (0x8408 if value & 1 else 0)
    return (value ^ 0xFFFF).to_bytes(2, "little")


def encoded(frame: bytes, accm: int) -> bytes:
    """What lies between two flags."""
    out = bytearray()
    for octet in frame + fcs(frame):
        if octet in (FLAG, ESCAPE) or (octet < 32 and accm >> octet & 1):
            out += bytes((ESCAPE, octet ^ 0x20))
        else:
            out.append(octet)
    return bytes(out)


def decoded(data: bytes, accm: int = 0) -> tuple[list[bytes], Counter[str]]:
    """The frames that are complete, and how many there are of what is none."""
    frames, trouble = [], Counter[str]()
    frame, raw, is_escaped = bytearray(), 0, False
    for octet in data:
        if octet < 32 and accm >> octet & 1:
            continue
        if octet == FLAG:
            if fault := _fault(bytes(frame), raw, is_escaped=is_escaped):
                trouble[fault] += 1
            elif raw:
                frames.append(bytes(frame[:-2]))
            frame, raw, is_escaped = bytearray(), 0, False
            continue
        raw += 1
        if octet == ESCAPE and not is_escaped:
            is_escaped = True
        else:
            frame.append(octet ^ 0x20 if is_escaped else octet)
            is_escaped = False
    if raw > 2 * LONGEST:
        trouble["too_long"] += 1
    return frames, trouble


def _fault(frame: bytes, raw: int, *, is_escaped: bool) -> str:
    if not raw:
        return ""
    if raw > 2 * LONGEST:
        return "too_long"
    if is_escaped:
        return "aborted"
    if len(frame) < 4:
        return "runts"
    if len(frame) > LONGEST:
        return "too_long"
    return "" if fcs(frame[:-2]) == frame[-2:] else "bad_fcs"
