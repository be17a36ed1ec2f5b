"""Packet filters in the language of tcpdump(8), compiled and run by libpcap.

Filters see packets as pppd(8) shows them to its active-filter: behind four bytes of PPP header,
the first of which is 1 for packets going out and 0 for packets coming in. So `inbound` and
`outbound` work, `ppp[0]` may be asked, and `len`, `less` and `greater` count these four bytes. What
was written for pppd means the same here.

Names are where the two part. What stands where an address may stand (pcap-filter(7): behind `host`,
`net`, `gateway`, `src`, `dst`, or alone) libpcap looks up by getaddrinfo(3): by DNS, that is, over
a line which may be down or costs money. So a filter is read here first, and may consist only of
words known to be none of these, of numbers and addresses and, where ports and protocols stand, of
the names that services(5) and protocols(5) have. Whatever else looks like a word is refused. If the
list of words lacks one, that costs a filter, never a call.
"""

import ctypes
import functools
import re
import weakref
from collections.abc import Iterator
from typing import NamedTuple

from router.devices import Filter

__all__ = ["compile_filter"]

_NAMES = ("libpcap.so.0.8", "libpcap.so.1")  # Debian's, and everybody else's
_MISSING = "needs libpcap; install libpcap0.8"
_DLT_PPP_PPPD = 166  # pcap-linktype(7)
_OUTBOUND, _INBOUND = b"\x01\x03\x00\x21", b"\x00\x03\x00\x21"  # direction, control, protocol IPv4
_LONGEST_PACKET = 65535  # bytes; only what the filter answers for a match
_NETMASK_UNKNOWN = 0xFFFFFFFF  # pcap_compile(3PCAP)
_LONGEST_TEXT = 1000  # characters: seconds at worst, and the time grows with the cube
_PARSE_ERRORS = ("can't parse filter expression: ", "syntax error in filter expression: ")

_SPACE = " \r\n\t"
_TOKEN = re.compile(
    rf"[{_SPACE}]*("
    r"\\[^\x00-\x20!()\x7f-\U0010ffff]+"  # a name, though there be a word spelt like it
    r"|[A-Za-z0-9](?:[-_.A-Za-z0-9]*[.A-Za-z0-9])?"  # a word, a name, a number, an address
    r"|&&|\|\||[-+*/%:\[\]!<>()&|^=]|\Z)"
)
_NUMBER = r"(?:0[xX][0-9A-Fa-f]+|[0-9]+)"
_ADDRESS = re.compile(rf"{_NUMBER}(?:\.{_NUMBER}){{0,3}}")
_JOINTS = frozenset({"and", "or", "not", "&&", "||", "!", "(", ")"})
_VOCABULARY = """
src dst host net mask gateway less greater len length inbound outbound broadcast multicast
ip ip6 tcp udp sctp icmp icmp6 igmp igrp pim vrrp carp ah esp
ppp link ether arp rarp vlan mpls
icmptype icmpcode icmp-echoreply icmp-unreach icmp-sourcequench icmp-redirect icmp-echo
icmp-routeradvert icmp-routersolicit icmp-timxceed icmp-paramprob icmp-tstamp icmp-tstampreply
icmp-ireq icmp-ireqreply icmp-maskreq icmp-maskreply
tcpflags tcp-fin tcp-syn tcp-rst tcp-push tcp-ack tcp-urg tcp-ece tcp-cwr
"""
_OPERATORS = frozenset("-+*/%:[]<>&|^=")
_TAKE_NAMES = frozenset({"port", "portrange", "proto", "protochain"})
_WORDS = frozenset(_VOCABULARY.split())


class _Program(ctypes.Structure):
    """`struct bpf_program` of pcap/bpf.h."""

    _fields_ = (("length", ctypes.c_uint), ("instructions", ctypes.c_void_p))


class _PacketHeader(ctypes.Structure):
    """`struct pcap_pkthdr` of pcap/pcap.h."""

    _fields_ = (
        ("seconds", ctypes.c_long),
        ("microseconds", ctypes.c_long),
        ("captured", ctypes.c_uint32),
        ("length", ctypes.c_uint32),
    )


class _Library(NamedTuple):
    """libpcap twice: calls on `compiler` let other threads run, those on `runner` do not.

    A match takes less than a microsecond, and the thread that forwards packets would otherwise
    have to get the interpreter back after each.
    """

    compiler: ctypes.CDLL
    runner: ctypes.PyDLL


def compile_filter(text: str) -> Filter:
    """Return the filter that `text` describes; an empty text matches everything.

    Raises ValueError with one clause: what is wrong with the text, or that libpcap is missing.
    """
    _refuse_names(text)
    library = _library()
    pcap = library.compiler
    handle = pcap.pcap_open_dead(_DLT_PPP_PPPD, _LONGEST_PACKET)
    if not handle:
        raise ValueError("cannot be compiled: libpcap is out of memory")
    program = _Program()
    try:
        if pcap.pcap_compile(handle, program, text.encode("ascii"), 1, _NETMASK_UNKNOWN):
            raise ValueError(_tidied(pcap.pcap_geterr(handle)))
    finally:
        pcap.pcap_close(handle)
    return _PcapFilter(text, program, library)


class _PcapFilter:
    """A compiled filter (`router.devices.Filter`); its program is freed with it.

    It may be used by any thread, one at a time.
    """

    def __init__(self, text: str, program: _Program, library: _Library) -> None:
        self._text = text
        self._program = program
        self._run = library.runner.pcap_offline_filter
        weakref.finalize(self, library.compiler.pcap_freecode, program)

    def __call__(self, packet: bytes, *, outbound: bool) -> bool:
        """Return whether the packet matches; one shorter than what is looked at does not."""
        framed = (_OUTBOUND if outbound else _INBOUND) + packet
        length = len(framed)
        return bool(self._run(self._program, _PacketHeader(0, 0, length, length), framed))

    def __repr__(self) -> str:
        return f"<filter {self._text!r}>"


@functools.cache
def _library() -> _Library:
    """Return libpcap with its functions typed; raises ValueError when there is none."""
    for name in _NAMES:
        try:
            library = _Library(ctypes.CDLL(name), ctypes.PyDLL(name))
        except OSError:
            continue
        _declare(library)
        return library
    raise ValueError(_MISSING)


def _declare(library: _Library) -> None:
    pcap, handle, program = library.compiler, ctypes.c_void_p, ctypes.POINTER(_Program)
    pcap.pcap_open_dead.argtypes = (ctypes.c_int, ctypes.c_int)
    pcap.pcap_open_dead.restype = handle
    pcap.pcap_compile.argtypes = (handle, program, ctypes.c_char_p, ctypes.c_int, ctypes.c_uint32)
    pcap.pcap_compile.restype = ctypes.c_int
    pcap.pcap_geterr.argtypes = (handle,)
    pcap.pcap_geterr.restype = ctypes.c_char_p
    pcap.pcap_close.argtypes = (handle,)
    pcap.pcap_close.restype = None
    pcap.pcap_freecode.argtypes = (program,)
    pcap.pcap_freecode.restype = None
    run = library.runner.pcap_offline_filter
    run.argtypes = (program, ctypes.POINTER(_PacketHeader), ctypes.c_char_p)
    run.restype = ctypes.c_int


def _tidied(error: bytes) -> str:
    sentence = error.decode("ascii", "replace").strip().rstrip(".")
    for start in _PARSE_ERRORS:
        sentence = sentence.removeprefix(start)
    return "syntax error, see pcap-filter(7)" if sentence == "syntax error" else sentence


def _refuse_names(text: str) -> None:
    """Raise ValueError if libpcap might look something up, or would not come to an end.

    A word without qualifiers has those of the one before (pcap-filter(7)): in `port http or https`
    both are services. Joints leave that as it is, and so do numbers and addresses.
    """
    if len(text) > _LONGEST_TEXT:
        raise ValueError(f"is longer than {_LONGEST_TEXT} characters; write several rules")
    takes_names = False
    for token in _tokens(text):
        if token in _TAKE_NAMES:
            takes_names = True
        elif token in _WORDS or token in _OPERATORS:
            takes_names = False
        elif not (takes_names or token in _JOINTS or _ADDRESS.fullmatch(token)):
            raise ValueError(
                f"{token!r} is no word for IP packets and no address; "
                "looking it up as a name could raise the line"
            )


def _tokens(text: str) -> Iterator[str]:
    """Yield the tokens of a filter as libpcap's scanner finds them."""
    at = 0
    while at < len(text):
        token = _TOKEN.match(text, at)
        if token is None:
            raise ValueError(f"{text[at:].lstrip(_SPACE)[0]!r} has no meaning, see pcap-filter(7)")
        at = token.end()
        if token[1]:
            yield token[1]
