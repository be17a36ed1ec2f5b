"""What the peer says of itself, made fit for a log and a terminal."""

__all__ = ["LONGEST_TEXT", "printable", "quoted"]

LONGEST_TEXT = 200  # characters: a sentence or two; the wire allows as many as a packet has octets


def printable(data: bytes) -> str:
    """Return the text of a message or a name, with "?" for what cannot be shown."""
    text = data.decode("utf-8", "replace").strip()[:LONGEST_TEXT]
    return "".join(char if char.isprintable() else "?" for char in text)


def quoted(name: bytes) -> str:
    """Return the name a peer goes by, as part of a sentence."""
    return f'it calls itself "{printable(name)}"'
