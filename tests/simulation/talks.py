"""What hosts of the office and of the Internet say to each other, whole talks in one call."""

from tests.lab.network import Seen
from tests.lab.packets import VNET_LENGTH
from tests.lab.provider import Office

__all__ = ["ALICE", "BOB", "CAROL", "DNS", "MAIL", "ROUTER", "WEB", "ask_name", "close", "connect"]

ROUTER, MAIL = "192.168.1.1", "192.168.1.10"
ALICE, BOB, CAROL = "192.168.1.11", "192.168.1.12", "192.168.1.13"
WEB, DNS = "198.51.100.10", "198.51.100.53"


def connect(
    office: Office, host: str = f"{ALICE}:4000", remote: str = f"{WEB}:80", *, wait_s: float = 5.0
) -> str:
    """Open a TCP connection, a line raised for it if need be, and fetch something.

    Returns the external endpoint. Both ends then expect sequence 4 and 5 of each other.
    """
    sent = office.lan(f"tcp {host} > {remote} S") or office.wait(wait_s)
    (syn,) = [seen for seen in sent if seen.endswith(f"> {remote} S")]
    back = f"{remote} > {syn.source}"
    assert office.wan(f"tcp {back} SA", ack=1) == [f"lan tcp {remote} > {host} SA"]
    office.lan(f"tcp {host} > {remote} A", seq=1, ack=1)
    assert len(office.lan(f"tcp {host} > {remote} PA", b"GET", seq=1, ack=1)) == 1
    assert len(office.wan(f"tcp {back} PA", b"page", seq=1, ack=4)) == 1
    office.lan(f"tcp {host} > {remote} A", seq=4, ack=5)
    return syn.source


def close(office: Office, external: str, host: str, remote: str = f"{WEB}:80") -> None:
    """Close a connection, the host first."""
    office.lan(f"tcp {host} > {remote} FA", seq=4, ack=5)
    office.wan(f"tcp {remote} > {external} FA", seq=5, ack=5)
    office.lan(f"tcp {host} > {remote} A", seq=5, ack=6)


def ask_name(office: Office, host: str = f"{ALICE}:5353", *, wait_s: float = 5.0) -> list[Seen]:
    """Ask a name server something, and return its answer as the host gets it."""
    query = b"\x12\x34 query"
    sent = office.lan(f"udp {host} > {DNS}:53", query) or office.wait(wait_s)
    (asked,) = [seen for seen in sent if seen.endswith(f"> {DNS}:53")]
    assert asked.frame[VNET_LENGTH + 28 :] == query
    return office.wan(f"udp {DNS}:53 > {asked.source}", b"\x12\x34 answer")
