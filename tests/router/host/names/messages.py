"""DNS as text: `www.example.test A`, asked by a host as dnsmasq passes it on, and answers to it."""

import dns.edns
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset
from dns.message import Message

from router.host.names.questions import Answer, Query, Question, read_answer, read_query
from router.wire.address import parse_address

ROUTER = parse_address("192.168.1.1")
ALICE, BOB = "192.168.1.11", "192.168.1.12"
WWW = "www.example.test A"


def question(words: str = WWW) -> Question:
    name, kind = words.split()
    return Question(dns.name.from_text(name.lower()), int(dns.rdatatype.from_text(kind)))


def asked(
    words: str = WWW, host: str | None = ALICE, number: int = 7, *, bits: int = 32, do: bool = False
) -> bytes:
    """A query on the wire, with the client subnet that dnsmasq puts in."""
    name, kind = words.split()
    message = dns.message.make_query(name, kind, id=number, want_dnssec=do)
    options = [] if host is None else [dns.edns.ECSOption(host, bits)]
    cookie = dns.edns.GenericOption(dns.edns.OptionType.COOKIE, b"eight by")
    message.use_edns(0, message.ednsflags, 1232, options=[*options, cookie])
    return message.to_wire()


def query(words: str = WWW, host: str = ALICE, number: int = 7) -> Query:
    made = read_query(asked(words, host, number), ROUTER)
    assert isinstance(made, Query)
    return made


def told(words: str, *records: str, number: int = 7, rcode: str = "NOERROR") -> bytes:
    """An answer on the wire; a record is `NAME TTL TYPE DATA`, one of SOA goes to the authority."""
    name, kind = words.split()
    message = dns.message.make_response(dns.message.make_query(name, kind, id=number))
    message.set_rcode(dns.rcode.from_text(rcode))
    for record in records:
        owner, ttl, rdtype, data = record.split(maxsplit=3)
        rrset = dns.rrset.from_text(dns.name.from_text(owner), int(ttl), "IN", rdtype, data)
        section = message.authority if rdtype == "SOA" else message.answer
        message.find_rrset(section, rrset.name, rrset.rdclass, rrset.rdtype, create=True).update(
            rrset
        )
    return message.to_wire()


def answer(words: str = WWW, *records: str, rcode: str = "NOERROR") -> Answer:
    records = records or (f"{words.split()[0]} 300 A 198.51.100.10",)
    made = read_answer(told(words, *records, rcode=rcode), question(words), 7)
    assert made is not None
    return made


def parsed(wire: bytes) -> Message:
    return dns.message.from_wire(wire)


def shown(wire: bytes) -> str:
    """An answer in short: id, rcode, flags, then the records of its answer."""
    message = parsed(wire)
    head = f"{message.id} {dns.rcode.to_text(message.rcode())} {dns.flags.to_text(message.flags)}"
    records = (f"{each.ttl} {each[0]}" for each in message.answer)
    return " | ".join((head, *records))
