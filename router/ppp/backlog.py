"""Packets that wait for a slow line: fair between flows, short, and in order within a flow.

    backlog = Backlog()
    backlog.put(packet, now)            # as packets come
    packet = backlog.take(now)          # whenever the line takes one

Theory of operation. One packet of 1500 octets keeps a modem busy for 0.36 s at 33,600 bit/s. What
waits behind an upload would wait for seconds, so who is next is decided here, and whether a queue
is of any use: flow queueing with controlled delay (RFC 8290 and 8289), cut to what a line with few
flows needs.

* A flow is addresses, protocol and, for TCP and UDP, ports; fragments have none, lest they pass
  each other. Within a flow packets are never reordered. What is not IPv4 is one flow.
* Flows take turns, by deficit round robin with a quantum of one full packet (RFC 8290 section 4.2).
  One that is new here goes before those that have had their quantum: a question, a ping or a
  keystroke waits for the packet that is being sent and hardly ever for another. One that has gone
  empty waits for its turn before it is forgotten, so that nobody is new time and again. After a
  quantum of new flows an old one has a turn in between (the RFC leaves that out): a storm of new
  ones, and every port of a scan is one, can halve an upload but not stop it.
* A queue that only delays is told by how long packets have waited (RFC 8289 section 5). When that
  has been more than a target for an interval, a packet is dropped as it comes up, and further ones
  ever more often until it is less. A packet behind which no more than one full packet waits is not
  dropped: such a queue is what keeps the line busy. So the last of a flow is always sent.
* Target and interval are measured in the line's own time. A target must be no less than the time of
  one full packet at the line's rate (RFC 8290 section 5.2.2), or CoDel would fight the very packets
  it sends; among n flows that have packets here, it is n of them until a flow's next one. An
  interval is a round trip, and to that of the network the line adds one such time for the wait and
  one for the sending. The rate is what `take` has had while something was waiting; until it is
  known nothing is dropped for its delay.
* CoDel takes its time with senders who do not care. What has waited for longer than `LONGEST_S`, or
  than `LONGEST_PACKETS` of a flow take, is dropped if its flow has something newer. After a line
  that stood still, that is also what senders have sent again in the meantime.
* Beyond the bounds on packets and octets, the flow that holds most beyond its last packet loses its
  oldest (RFC 8290 section 4.1, which drops half a flow to save time; there are few packets here).
  If no flow holds more than one packet, what comes is not taken: the only case in which a flow may
  lose its only packet.

A step costs the same however many packets wait; only where there is no room the flows are searched.
Every packet that is put is taken or counted in `dropped`, once.

Left out: ECN marks, which need checksums to be right again, and hashing flows into a fixed number
of buckets, as a flow without packets costs nothing.
"""

import math
from collections import Counter, deque
from enum import Enum

from router.wire.ipv4 import HEADER_LENGTH, PROTO_TCP, PROTO_UDP

__all__ = ["Backlog", "Cause"]

FULL_PACKET = 1500  # octets: the MTU of a PPP line is no more; quantum and CoDel's smallest queue
LIMIT_PACKETS = 1000  # as Linux has for a device's queue
LIMIT_OCTETS = 1 << 20  # 0.8 s at 10 Mbit/s, and no memory to speak of
# RFC 8289 has 0.005 s, for a queue that all share. Here a flow's queue delays nobody else, and one
# upload alone, 20 ms from its server, has 95 % of 10 Mbit/s with that, and all of it with this.
TARGET_S = 0.02  # seconds
INTERVAL_S = 0.1  # seconds: most round trips of the network are no longer (RFC 8289)
LONGEST_S = 1.0  # seconds: after that TCP sends again (RFC 6298 section 2), and so do many others
LONGEST_PACKETS = 8  # of a flow: four times as many as wait where a window is as large as it should

_SAMPLE = 4 * FULL_PACKET  # octets a rate is measured by: as soon as it begins to matter
_RESUME = 16  # intervals within which CoDel goes on where it stopped (RFC 8289 section 5)

_VERSION_4 = 4
_FRAGMENT = 0x3FFF  # more fragments, or an offset
_WITH_PORTS = frozenset({PROTO_TCP, PROTO_UDP})


class Cause(Enum):
    """Why a packet was not sent."""

    FULL = "no room"
    DELAY = "a queue that only delays"
    LATE = "waited for too long"
    ENDED = "the line is down"

    __hash__ = object.__hash__


class _Control:
    """CoDel of one flow: which packets are dropped, by when their wait was too long."""

    __slots__ = ("_count", "_drop_at", "_due_at", "_first_count", "_is_dropping")

    def __init__(self) -> None:
        self._due_at = math.inf  # when it will have been too long for an interval
        self._is_dropping = False
        self._drop_at = -math.inf  # the next, or where it is not dropping, what would have been
        self._count = 0  # drops in a row, of which the first counted from `_first_count`
        self._first_count = 0

    def drops(self, now: float, interval_s: float, *, is_too_long: bool) -> bool:
        """Return whether the packet that has come up is dropped."""
        if not is_too_long:
            self._due_at, self._is_dropping = math.inf, False
            return False
        if self._is_dropping:
            return self._drops_another(now, interval_s)
        if self._due_at == math.inf:
            self._due_at = now + interval_s
        if now < self._due_at:
            return False
        self._begin(now, interval_s)
        return True

    def _begin(self, now: float, interval_s: float) -> None:
        """Drop the first, and the next as soon as it has lately been necessary."""
        self._is_dropping = True
        lately = self._count - self._first_count
        was_lately = now - self._drop_at < _RESUME * interval_s
        self._count = self._first_count = lately if lately > 1 and was_lately else 1
        self._drop_at = now + interval_s / math.sqrt(self._count)

    def _drops_another(self, now: float, interval_s: float) -> bool:
        if now < self._drop_at:
            return False
        self._count += 1
        self._drop_at += interval_s / math.sqrt(self._count)
        return True


class _Flow:
    """Packets of a flow and when they came; `deficit` is what it may still send in this turn."""

    __slots__ = ("control", "deficit", "key", "octets", "packets")

    def __init__(self, key: bytes) -> None:
        self.key = key
        self.packets: deque[tuple[bytes, float]] = deque()
        self.octets = 0
        self.deficit = FULL_PACKET
        self.control = _Control()

    @property
    def excess(self) -> int:
        """Octets beyond the last packet."""
        return self.octets - len(self.packets[-1][0]) if self.packets else 0


class _Pace:
    """How long the line takes for a full packet, from what it took while something was waiting.

    What is taken in one instant counts together, and is sent until more is taken.
    """

    __slots__ = ("_is_more", "_octets", "_span_s", "_taken", "_taken_at", "packet_s")

    def __init__(self) -> None:
        self.packet_s = math.inf  # not known
        self._octets, self._span_s = 0, 0.0  # measured so far
        self._taken, self._taken_at = 0, 0.0
        self._is_more = False

    def note(self, now: float, size: int, *, is_more: bool) -> None:
        """Count a packet that is taken; `is_more` is whether something is left waiting."""
        if now > self._taken_at:
            if self._is_more:
                self._measure(now - self._taken_at)
            self._taken, self._taken_at = 0, now
        self._taken += size
        self._is_more = is_more

    def _measure(self, span_s: float) -> None:
        """Note that what was taken has kept the line busy for so long."""
        self._octets += self._taken
        self._span_s += span_s
        if self._octets >= _SAMPLE:
            self.packet_s = FULL_PACKET * self._span_s / self._octets
            self._octets, self._span_s = 0, 0.0


class Backlog:
    """Packets on their way to one line; `octets` are all of theirs."""

    def __init__(
        self,
        limit_packets: int = LIMIT_PACKETS,
        limit_octets: int = LIMIT_OCTETS,
        *,
        target_s: float = TARGET_S,
        interval_s: float = INTERVAL_S,
    ) -> None:
        self._limit_packets = limit_packets
        self._limit_octets = limit_octets
        self._target_s = target_s
        self._interval_s = interval_s
        self._flows: dict[bytes, _Flow] = {}
        self._new: deque[_Flow] = deque()
        self._old: deque[_Flow] = deque()
        self._ahead = 0  # octets of new flows for which old ones have waited since their last turn
        self._pace = _Pace()
        self._packets = 0
        self.octets = 0
        self.dropped: Counter[Cause] = Counter()

    def __len__(self) -> int:
        return self._packets

    def put(self, packet: bytes, now: float) -> None:
        """Let a packet wait, or drop it or another where there is no room."""
        size = len(packet)
        if not self._make_room(size):
            self.dropped[Cause.FULL] += 1
            return
        key = _key(packet)
        flow = self._flows.get(key)
        if flow is None:
            flow = self._flows[key] = _Flow(key)
            self._new.append(flow)
        flow.packets.append((packet, now))
        flow.octets += size
        self._packets += 1
        self.octets += size

    def take(self, now: float) -> bytes | None:
        """Return the packet that is sent next, None when there is none."""
        flow = self._next()
        if flow is None:
            return None
        packet = self._first(flow, now)
        flow.deficit -= len(packet)
        passes = bool(self._new and self._new[0] is flow and self._old)
        self._ahead = self._ahead + len(packet) if passes else 0
        self._pace.note(now, len(packet), is_more=self._packets > 0)
        return packet

    def clear(self) -> None:
        """Drop everything, because the line is down; the next one may have another rate."""
        self.dropped[Cause.ENDED] += self._packets
        self._flows.clear()
        self._new.clear()
        self._old.clear()
        self._packets = self.octets = self._ahead = 0
        self._pace = _Pace()

    # Turns

    def _next(self) -> _Flow | None:
        """Return the flow whose turn it is, at the head of its list; it has packets."""
        while lane := self._lane():
            flow = lane[0]
            if flow.packets and flow.deficit > 0:
                return flow
            lane.popleft()
            if flow.packets:
                flow.deficit += FULL_PACKET
                self._old.append(flow)
            elif lane is self._new and self._old:
                self._old.append(flow)
            else:
                del self._flows[flow.key]
        return None

    def _lane(self) -> deque[_Flow]:
        is_old_due = self._old and self._ahead >= FULL_PACKET
        return self._new if self._new and not is_old_due else self._old

    def _first(self, flow: _Flow, now: float) -> bytes:
        """Return the first packet of a flow that is not dropped; the last one never is."""
        share_s = self._pace.packet_s * len(self._flows)
        target_s = max(self._target_s, share_s)
        interval_s = self._interval_s + 2 * share_s
        longest_s = max(LONGEST_S, LONGEST_PACKETS * share_s)
        while True:
            packet, put_at = self._remove(flow)
            waited_s = now - put_at
            is_too_long = waited_s > target_s and flow.octets > FULL_PACKET
            if flow.packets and waited_s > longest_s:
                self.dropped[Cause.LATE] += 1
            elif flow.control.drops(now, interval_s, is_too_long=is_too_long):
                self.dropped[Cause.DELAY] += 1
            else:
                return packet

    # Room

    def _make_room(self, size: int) -> bool:
        """Drop what is over-represented until a packet of `size` fits; return whether it does."""
        if size > self._limit_octets:
            return False
        while self._packets >= self._limit_packets or self.octets + size > self._limit_octets:
            fattest = max(self._flows.values(), key=lambda flow: flow.excess, default=None)
            if fattest is None or not fattest.excess:
                return False
            self._remove(fattest)
            self.dropped[Cause.FULL] += 1
        return True

    def _remove(self, flow: _Flow) -> tuple[bytes, float]:
        packet, put_at = flow.packets.popleft()
        flow.octets -= len(packet)
        self._packets -= 1
        self.octets -= len(packet)
        return packet, put_at


def _key(packet: bytes) -> bytes:
    """Return what the packets of a flow have in common."""
    if len(packet) < HEADER_LENGTH or packet[0] >> 4 != _VERSION_4:
        return b""
    key = packet[9:10] + packet[12:20]
    if packet[9] not in _WITH_PORTS or int.from_bytes(packet[6:8], "big") & _FRAGMENT:
        return key
    start = (packet[0] & 0x0F) * 4
    return key + packet[start : start + 4]
