"""Packets that wait for a line that is being raised: as they came, bounded, fair, none twice.

Theory of operation. A frame waits untouched, virtio-net header and all, because only when the line
is up is it known which address it is to be translated to. Then all of them go in the order in
which they came. Meanwhile programs repeat what gets no answer, and some send more than others; so
the queue knows repetitions, is bounded, and sees to it that nobody's packets cost somebody else's
their place.

* Bounds are on packets, on their bytes and on age. Age counts from the first copy, so the queue is
  in the order in which its packets will be too old, and a program hears after a known time that it
  has waited in vain. A packet that alone is too large for the queue is not taken at all. What most
  packets are known by is a copy of them, so memory is twice their bytes and some.
* Where packets or bytes are beyond their bound, the host that holds most loses its oldest packet:
  of that one it is likeliest that nobody waits for it any more. What a host holds is the larger of
  its shares of packets and bytes. Beyond a bound, somebody has more than one nth of it among n
  hosts; so a host that has less of both never loses a packet, whatever others send, and one that
  floods pushes out its own. Between hosts that hold alike, the packet that has waited longest goes.
* A repetition takes the place and the age of what it repeats, and its contents are the newer ones.
  A repetition is: a TCP SYN with the same ends and sequence number (options may differ); a UDP
  datagram to port 53 with the same ends and the same contents behind the query's id (who asks anew
  by another id from the same port has given the former up); any other packet that is the same in
  every byte but IP identification and header checksum. Fragments are only repeated by the very
  same, as another identification is another datagram.
* A question from another port is no repetition, though some resolvers take a fresh port for each
  try. Two programs may ask the same at the same moment, and so may two people behind a router of
  their own, each at a port where it waits for its own answer. To take one for the other's
  repetition costs somebody the time to his next try; not to costs one small packet more, and a
  resolver that asks so often that it reaches a bound pushes out its own oldest questions, which
  are those whose ports it has closed.

Each host that has packets here has one entry that counts in a heap of who holds most. An entry is
never behind the truth: who comes to hold more gets a new one, and the former is recognised as
stale by `rank`; who has come to hold less is found out when the entry comes up, and put back.
Stale entries are swept out when they would outnumber the others. So every step costs the same
however many packets wait, but for the logarithm of the number of hosts.
"""

import heapq
from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple

from router.link.rows import HeldRow
from router.link.types import HoldLimits
from router.wire.ipv4 import PROTO_TCP, PROTO_UDP, IPv4
from router.wire.malformed import Malformed
from router.wire.tcp import Flag, Tcp
from router.wire.udp import HEADER_LENGTH as UDP_HEADER_LENGTH
from router.wire.udp import Udp
from router.wire.vnet import VNET_HEADER_LENGTH

__all__ = ["Held", "HoldQueue"]

_DNS_PORT = 53  # RFC 1035, section 4.2
_DNS_ID_LENGTH = 2  # bytes, the first of a message (RFC 1035, section 4.1.1)
_OPENS = Flag.SYN | Flag.ACK | Flag.RST | Flag.FIN  # of these only SYN in a first SYN
_STALE_RANKS = 1024  # entries that may be stale beside as many again as there are hosts

_IDENTIFICATION = slice(VNET_HEADER_LENGTH + 4, VNET_HEADER_LENGTH + 6)
_CHECKSUM = slice(VNET_HEADER_LENGTH + 10, VNET_HEADER_LENGTH + 12)
_ADDRESSES = slice(VNET_HEADER_LENGTH + 12, VNET_HEADER_LENGTH + 20)

_Key = tuple[int, bytes]  # host, and what all copies of a packet have in common
_Rank = tuple[int, int, int]  # what a host holds (negative), its oldest packet's number, the host


class Held(NamedTuple):
    """A frame that waits: of which LAN host, since when, standing for how many repetitions."""

    frame: bytes
    host: int
    arrived_at: float
    copies: int


class _Share:
    """What one host has in the queue: its packets by arrival number, the oldest first."""

    __slots__ = ("bytes", "numbers", "rank")

    def __init__(self) -> None:
        self.numbers: OrderedDict[_Key, int] = OrderedDict()
        self.bytes = 0
        self.rank: _Rank = (1, 0, 0)  # behind every rank there can be


class HoldQueue:
    """Frames of LAN hosts, in order; `held_bytes` are those of their packets."""

    def __init__(self, limits: HoldLimits) -> None:
        self._limits = limits
        self._waiting: OrderedDict[_Key, Held] = OrderedDict()
        self._shares: dict[int, _Share] = {}
        self._ranks: list[_Rank] = []
        self._arrivals = 0
        self.held_bytes = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, frame: bytes, host: int, now: float) -> list[Held]:
        """Let a frame of a LAN host wait; return what does not wait any longer for that."""
        size = _size(frame)
        if size > self._limits.bytes or not self._limits.packets:
            return [Held(frame, host, now, 0)]
        key = (host, _likeness(frame))
        share = self._shares.get(host)
        if share is None:
            share = self._shares[host] = _Share()
        first = self._waiting.get(key)
        if first is None:
            self._arrivals += 1
            share.numbers[key] = self._arrivals
            self._waiting[key] = Held(frame, host, now, 0)
        else:
            size -= _size(first.frame)
            self._waiting[key] = first._replace(frame=frame, copies=first.copies + 1)
        share.bytes += size
        self.held_bytes += size
        self._raise_rank(share, host)
        return self._push_out()

    def take_all(self) -> list[Held]:
        """Return everything in order of arrival, and keep nothing."""
        everything = list(self._waiting.values())
        self._waiting.clear()
        self._shares.clear()
        self._ranks.clear()
        self.held_bytes = 0
        return everything

    def expire(self, now: float) -> list[Held]:
        """Return what has waited for too long, and keep it no longer."""
        late: list[Held] = []
        while self._waiting:
            key, oldest = next(iter(self._waiting.items()))
            if oldest.arrived_at + self._limits.age_s > now:
                break
            late.append(self._remove(key))
        return late

    def next_deadline(self) -> float | None:
        """Return when the oldest packet will have waited for too long."""
        oldest = next(iter(self._waiting.values()), None)
        return oldest and oldest.arrived_at + self._limits.age_s

    def rows(
        self, now: float, name_of: Callable[[int], str], describe: Callable[[bytes], str]
    ) -> tuple[HeldRow, ...]:
        """Return everything as text, in order; `describe` is shown whole frames."""
        return tuple(
            HeldRow(
                host=name_of(held.host),
                packet=describe(held.frame),
                waited_s=now - held.arrived_at,
                expires_in_s=max(0.0, held.arrived_at + self._limits.age_s - now),
                copies=held.copies,
                bytes=_size(held.frame),
            )
            for held in self._waiting.values()
        )

    # Room

    def _push_out(self) -> list[Held]:
        limits, pushed_out = self._limits, []
        while len(self._waiting) > limits.packets or self.held_bytes > limits.bytes:
            greediest = self._shares[self._holds_most()]
            pushed_out.append(self._remove(next(iter(greediest.numbers))))
        return pushed_out

    def _remove(self, key: _Key) -> Held:
        held = self._waiting.pop(key)
        share, size = self._shares[held.host], _size(held.frame)
        del share.numbers[key]
        share.bytes -= size
        self.held_bytes -= size
        if not share.numbers:
            del self._shares[held.host]
        return held

    def _rank(self, share: _Share, host: int) -> _Rank:
        packets, octets = len(share.numbers), share.bytes
        holds = max(packets * self._limits.bytes, octets * self._limits.packets)
        return (-holds, next(iter(share.numbers.values())), host)

    def _raise_rank(self, share: _Share, host: int) -> None:
        rank = self._rank(share, host)
        if rank < share.rank:
            share.rank = rank
            heapq.heappush(self._ranks, rank)
            if len(self._ranks) > 2 * len(self._shares) + _STALE_RANKS:
                self._ranks = [each.rank for each in self._shares.values()]
                heapq.heapify(self._ranks)

    def _holds_most(self) -> int:
        """Return the host that holds most; there must be one."""
        while True:
            top = self._ranks[0]
            share = self._shares.get(top[2])
            if share is None or share.rank != top:
                heapq.heappop(self._ranks)
                continue
            share.rank = self._rank(share, top[2])
            if share.rank == top:
                return top[2]
            heapq.heapreplace(self._ranks, share.rank)


def _size(frame: bytes) -> int:
    """Return the length of the packet in a frame."""
    return len(frame) - VNET_HEADER_LENGTH


def _likeness(frame: bytes) -> bytes:
    """Return what a packet and its repetitions have in common, and no other packet has."""
    packet = IPv4.parse(bytearray(frame), VNET_HEADER_LENGTH, len(frame))
    if isinstance(packet, Malformed) or packet.is_fragment:
        return b"same" + frame
    start = packet.payload
    ends = frame[_ADDRESSES] + frame[start : start + 4]
    if packet.protocol == PROTO_TCP:
        segment = Tcp.parse(packet)
        if isinstance(segment, Tcp) and segment.flags & _OPENS == Flag.SYN:
            return b"syn" + ends + segment.sequence.to_bytes(4, "big")
    elif packet.protocol == PROTO_UDP:
        datagram = Udp.parse(packet)
        if isinstance(datagram, Udp) and datagram.destination_port == _DNS_PORT:
            return b"dns" + ends + frame[start + UDP_HEADER_LENGTH + _DNS_ID_LENGTH : packet.end]
    before, after = frame[: _IDENTIFICATION.start], frame[_CHECKSUM.stop :]
    return b"like" + before + frame[_IDENTIFICATION.stop : _CHECKSUM.start] + after
