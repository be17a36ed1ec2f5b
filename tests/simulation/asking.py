"""The router asking for names on behalf of hosts of the office, as `router.host.names` does."""

import dns.name
import dns.rdatatype

from router.host.names.questions import Question, packet_of, words_of
from router.link.messages import Coming, Ready
from router.reasons import Reason
from router.wire.address import parse_address
from tests.lab.network import Seen
from tests.lab.provider import Office
from tests.simulation.talks import DNS, ROUTER

__all__ = ["ask", "query"]


def ask(
    office: Office, host: str, words: str = "www.example.test A", since: float | None = None
) -> Ready | Coming | Reason:
    """Ask whether the router may ask for that, for a host."""
    name, kind = words.split()
    question = Question(dns.name.from_text(name), int(dns.rdatatype.from_text(kind)))
    address = parse_address(host)
    packet = packet_of(question, address, parse_address(ROUTER))
    told, chatter = words_of(question, address), question.is_chatter
    outcome: Ready | Coming | Reason = office._ask(
        lambda lines, now: lines.ask(
            packet, address, told, may_raise=not chatter, since=since, now=now
        )
    )
    return outcome


def query(office: Office, port: int = 40000) -> list[Seen]:
    """Have the router itself ask a name server; return what leaves."""
    return office.lan(f"udp {ROUTER}:{port} > {DNS}:53", b"query")
