"""What dnsmasq asks, on behalf of whom, and the messages in which it is answered.

A query tells its host by the client subnet option (RFC 7871) that dnsmasq puts in, and takes out
where a host has put one in itself. Nothing of a query's options leaves: what name servers are asked
is made anew from the question. Whatever is read from a socket gives a message or none, and never
raises.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

import dns.edns
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset
from dns.message import Message

from router.host.names.limits import LONGEST_TTL_S, NEGATIVE_TTL_S, PAYLOAD, PLAIN_PAYLOAD
from router.wire.address import format_address, parse_address
from router.wire.ipv4 import PROTO_UDP, IPv4, build
from router.wire.transport import complete_checksum
from router.wire.udp import HEADER_LENGTH

__all__ = [
    "Answer",
    "Query",
    "Question",
    "answer_to",
    "failure_of",
    "packet_of",
    "read_answer",
    "read_query",
    "without_truncation",
    "words_of",
]

_HEADER = 12  # bytes (RFC 1035, section 4.1.1)
_QR = 0x80  # in the third byte: this is an answer
_WHOLE_ADDRESS = 32  # bits of an IPv4 address
_IPV4 = 1  # address family in a client subnet (RFC 7871, section 6)
_LONGEST_NAME = 255  # characters shown; longer ones are escapes of what is no host's name
_HOST_PORT = 49152  # the first that any program may have (RFC 6335, section 6): it is not told
_NAME_SERVER_PORT = 53  # RFC 1035, section 4.2
_TRANSFERS = frozenset({dns.rdatatype.AXFR, dns.rdatatype.IXFR})

# Looked up again and again by machines of which nobody wants anything: domain controllers, updates
# of one's own name (first an SOA), services to browse, proxies and tunnels to find.
_CHATTER = frozenset((b"_ldap", b"_kerberos", b"_kpasswd", b"_gc", b"wpad", b"isatap"))
_BROWSED = (b"_dns-sd", b"_udp")  # what b, db, r, dr and lb stand before (RFC 6763, section 11)
_PLAIN = 2  # labels of a name without dots, the root's empty one among them
_BROWSING = frozenset((b"b", b"db", b"r", b"dr", b"lb"))


class Question(NamedTuple):
    """What is asked, without who asks: the name in lower case, and what else changes the answer."""

    name: dns.name.Name
    rdtype: int
    dnssec: bool = False
    unchecked: bool = False

    @property
    def words(self) -> str:
        """The question for people, such as `www.example.test A`."""
        name = self.name.to_text(omit_final_dot=True)
        shown = name if len(name) <= _LONGEST_NAME else f"{name[:_LONGEST_NAME]}..."
        return f"{shown} {dns.rdatatype.to_text(dns.rdatatype.RdataType.make(self.rdtype))}"

    @property
    def is_chatter(self) -> bool:
        """Whether machines ask this again and again, so that it is not worth a line."""
        labels = self.name.labels
        if self.rdtype == dns.rdatatype.SOA or b"_msdcs" in labels:
            return True
        if labels[0] in _BROWSING:
            return labels[1:3] == _BROWSED
        asks_all = self.rdtype == dns.rdatatype.ANY and any(each[:1] == b"_" for each in labels)
        return asks_all or labels[0] in _CHATTER or len(labels) <= _PLAIN

    def message(self, number: int, *, edns: bool = True) -> Message:
        """Return the query for it, under an id."""
        message = dns.message.make_query(
            self.name, dns.rdatatype.RdataType.make(self.rdtype), id=number
        )
        if self.unchecked:
            message.flags |= dns.flags.CD
        if edns:
            message.use_edns(0, dns.flags.DO if self.dnssec else 0, PAYLOAD)
        return message


@dataclass(frozen=True, slots=True)
class Query:
    """A question of a host; `payload` is what a datagram of the answer may have, in bytes."""

    question: Question
    host: int
    payload: int
    message: Message


@dataclass(frozen=True, slots=True)
class Answer:
    """What a name server said; `ttl_s` is for how long that is true, 0 for not beyond now."""

    rcode: int
    flags: int
    sections: tuple[tuple[dns.rrset.RRset, ...], ...]
    ttl_s: float
    size: int

    @property
    def is_failure(self) -> bool:
        """Whether it says nothing about the name, and another server may."""
        return self.rcode not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN)


def read_query(wire: bytes, router: int) -> Query | bytes | None:
    """Return the query, the answer to one that is not for us, or None for no query at all.

    A query that tells no host is the router's own.
    """
    if len(wire) < _HEADER or wire[2] & _QR:
        return None
    message = _parse(wire)
    if message is None or len(message.question) != 1:
        return _bare(wire, dns.rcode.FORMERR)
    if message.opcode() != dns.opcode.QUERY:
        return _bare(wire, dns.rcode.NOTIMP)
    (asked,) = message.question
    if asked.rdclass != dns.rdataclass.IN or asked.rdtype in _TRANSFERS:
        return _bare(wire, dns.rcode.REFUSED)
    question = Question(
        asked.name.canonicalize(),
        int(asked.rdtype),
        bool(message.ednsflags & dns.flags.DO),
        bool(message.flags & dns.flags.CD),
    )
    payload = max(PLAIN_PAYLOAD, min(PAYLOAD, message.payload if message.edns >= 0 else 0))
    return Query(question, _host_of(message, router), payload, message)


def answer_to(query: Query, answer: Answer, *, age_s: float = 0.0, limit: int) -> bytes:
    """Return the message that tells an answer of some age, cut off at `limit` bytes."""
    message = dns.message.make_response(query.message, recursion_available=True)
    message.set_rcode(dns.rcode.Rcode.make(answer.rcode))
    message.flags |= answer.flags
    told = [[_aged(each, age_s) for each in section] for section in answer.sections]
    message.answer, message.authority, message.additional = told
    return message.to_wire(max_size=limit, prefer_truncation=True)


def failure_of(query: Query, rcode: int) -> bytes:
    """Return the message that tells why there is no answer."""
    message = dns.message.make_response(query.message, recursion_available=True)
    message.set_rcode(dns.rcode.Rcode.make(rcode))
    return message.to_wire()


def read_answer(wire: bytes, question: Question, number: int) -> Answer | None:
    """Return what a name server says, None if that is no answer to what it was asked."""
    message = _parse(wire)
    if message is None or message.id != number or not message.flags & dns.flags.QR:
        return None
    if message.opcode() != dns.opcode.QUERY or not _is_about(message, question):
        return None
    kept = message.flags & (dns.flags.AD | dns.flags.TC)
    sections = (tuple(message.answer), tuple(message.authority), tuple(message.additional))
    return Answer(int(message.rcode()), kept, sections, _ttl_s(message), len(wire))


def packet_of(question: Question, host: int, server: int) -> bytes:
    """Return the IPv4 packet a host would ask a name server with."""
    data = question.message(0).to_wire()
    ends = _HOST_PORT.to_bytes(2, "big") + _NAME_SERVER_PORT.to_bytes(2, "big")
    length = (HEADER_LENGTH + len(data)).to_bytes(2, "big")
    packet = bytearray(build(host, server, PROTO_UDP, ends + length + bytes(2) + data))
    view = IPv4.parse(packet, 0, len(packet))
    assert isinstance(view, IPv4)
    complete_checksum(view)
    return bytes(packet)


def words_of(question: Question, host: int) -> str:
    """Return who asks for what, for people."""
    return f"{format_address(host)} asks for {question.words}"


def without_truncation(answer: Answer) -> Answer:
    """Return an answer as the whole it is."""
    return replace(answer, flags=answer.flags & ~dns.flags.TC)


def _parse(wire: bytes) -> Message | None:
    try:
        return dns.message.from_wire(wire)
    except (dns.exception.DNSException, ValueError):
        return None


def _bare(wire: bytes, rcode: int) -> bytes:
    """Return an answer that has the query's id and opcode, and nothing else of it."""
    third = _QR | (wire[2] & 0x79)  # opcode and "recursion desired"
    return wire[:2] + bytes((third, 0x80 | rcode)) + bytes(8)


def _host_of(message: Message, router: int) -> int:
    for option in message.options:
        if isinstance(option, dns.edns.ECSOption) and option.family == _IPV4:
            return parse_address(option.address) if option.srclen == _WHOLE_ADDRESS else router
    return router


def _is_about(message: Message, question: Question) -> bool:
    if not message.question:  # some servers leave it out of a failure
        return message.rcode() not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN)
    asked = message.question[0]
    same = asked.name == question.name and asked.rdtype == question.rdtype
    return same and asked.rdclass == dns.rdataclass.IN and len(message.question) == 1


def _ttl_s(message: Message) -> float:
    """Return for how long an answer may be kept (RFC 2308, section 5, for those that deny)."""
    rcode = message.rcode()
    if message.flags & dns.flags.TC or rcode not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
        return 0.0
    told = min((each.ttl for each in _rrsets(message)), default=0)
    if rcode == dns.rcode.NOERROR and any(_answers(each, message) for each in message.answer):
        return min(float(told), LONGEST_TTL_S)
    soa = next((each for each in message.authority if each.rdtype == dns.rdatatype.SOA), None)
    return 0.0 if soa is None else min(float(told), float(soa[0].minimum), NEGATIVE_TTL_S)


def _answers(rrset: dns.rrset.RRset, message: Message) -> bool:
    wanted = message.question[0].rdtype
    return wanted in (rrset.rdtype, dns.rdatatype.ANY)


def _rrsets(message: Message) -> Iterator[dns.rrset.RRset]:
    yield from message.answer
    yield from message.authority


def _aged(rrset: dns.rrset.RRset, age_s: float) -> dns.rrset.RRset:
    aged: dns.rrset.RRset = rrset.copy()  # type: ignore[no-untyped-call]
    aged.ttl = max(0, rrset.ttl - int(age_s))
    return aged
