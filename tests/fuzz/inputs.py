"""The corpus: packets that were trouble to somebody once, one a file, as commented hexadecimal."""

from pathlib import Path

from hypothesis import strategies as st

from tests.lab.strategies import evil_packets, seeds

FOLDER = Path(__file__).parent / "corpus"


def _read(path: Path) -> bytes:
    return bytes.fromhex("".join(line.partition("#")[0] for line in path.read_text().splitlines()))


CORPUS = {path.stem: _read(path) for path in sorted(FOLDER.glob("*.hex"))}

# Noise, evil deeds done to good packets, and more of them done to evil ones.
anything = st.one_of(
    evil_packets(seeds),
    evil_packets(st.sampled_from([packet for packet in CORPUS.values() if packet])),
    st.binary(max_size=100),
)
