"""Wiretaps: who is shown the frames of a PPP line, and what of them.

    tap = wiretaps.on("isp")                # for the line's backend, which calls it with each frame
    wiretaps.watch("isp", see)              # from now on: see(frame, inbound)
    wiretaps.unwatch("isp", see)

Theory of operation. A line is offered for watching for as long as its backend lives, whether it is
up or not; a watcher stays through any number of dials. While nobody watches, a frame costs the
question whether somebody does. Everything happens where the event loop runs.

What is shown has the form in which frames are on file (LINKTYPE_PPP): address and control, the
protocol in two octets, whatever the two ends have agreed to leave out. Passwords of PAP are blanked
before anybody sees them, to the same length: captures are sent to others who are to find a fault.
They are in its requests (RFC 1334 section 2.2.1), and in what an end that does not know PAP sends
back of these (RFC 1661 sections 5.6 and 5.7). A packet of PAP that is neither a sound request nor
an answer is blanked as a whole. Answers to a CHAP challenge are shown: they are made for a line
that others hear, though whoever has one may try passwords on it.
"""

from collections.abc import Callable
from functools import partial

from router.wire.malformed import Malformed
from router.wire.ppp import ADDRESS_CONTROL, Code, Protocol, join, split

__all__ = ["Watcher", "Wiretaps", "shown"]

Watcher = Callable[[bytes, bool], None]

_BLANK = b"*"
_HEADER_LENGTH = 4  # octets: code, identifier, length
_QUOTED_AT = _HEADER_LENGTH + 2  # octets: in a Protocol-Reject the protocol comes before its packet
_PAP_REQUEST = b"\x01"  # Authenticate-Request (RFC 1334 section 2.2.1)
_PAP_ANSWERS = (b"\x02", b"\x03")  # Authenticate-Ack and -Nak (2.2.2): a message for people
_CODE_REJECT = bytes((Code.CODE_REJECT,))
_PROTOCOL_REJECT = bytes((Code.PROTOCOL_REJECT,))


class Wiretaps:
    """The PPP lines there are, by link, and who watches each."""

    def __init__(self) -> None:
        self._watchers: dict[str, list[Watcher]] = {}

    @property
    def links(self) -> tuple[str, ...]:
        """The links that can be watched."""
        return tuple(self._watchers)

    def on(self, link: str) -> Watcher:
        """Offer a link for watching; return what is to be called with each of its frames."""
        self._watchers.setdefault(link, [])
        return partial(self.offer, link)

    def watch(self, link: str, watcher: Watcher) -> None:
        """Show a link's frames to `watcher` from now on; raises KeyError if it is none of these."""
        self._watchers[link].append(watcher)

    def unwatch(self, link: str, watcher: Watcher) -> None:
        """Show them no longer; who does not watch is left alone."""
        if watcher in self._watchers[link]:
            self._watchers[link].remove(watcher)

    def offer(self, link: str, frame: bytes, inbound: bool) -> None:
        """Show a frame, without HDLC, to whoever watches its link."""
        watchers = self._watchers[link]
        if watchers:
            seen = shown(frame)
            for watcher in watchers:
                watcher(seen, inbound)


def shown(frame: bytes) -> bytes:
    """Return a frame in full, without passwords; one that is too short for any, as it is."""
    parts = split(frame)
    if isinstance(parts, Malformed):
        return frame
    protocol, information = parts
    return ADDRESS_CONTROL + join(protocol, _without_passwords(protocol, information))


def _without_passwords(protocol: int, information: bytes) -> bytes:
    at = 0
    while protocol == Protocol.LCP:  # what is rejected is quoted, rejections of rejections too
        code = information[at : at + 1]
        if code == _PROTOCOL_REJECT:
            protocol = int.from_bytes(information[at + _HEADER_LENGTH : at + _QUOTED_AT], "big")
            at += _QUOTED_AT
        elif code == _CODE_REJECT:
            at += _HEADER_LENGTH
        else:
            return information
    if protocol != Protocol.PAP:
        return information
    return information[:at] + _without_password(information[at:])


def _without_password(packet: bytes) -> bytes:
    """Return a packet of PAP with stars for the password and whatever else may be one."""
    if packet[:1] in _PAP_ANSWERS:
        return packet
    kept, name_at = _HEADER_LENGTH, _HEADER_LENGTH + 1
    if packet[:1] == _PAP_REQUEST and len(packet) > name_at:
        password_at = name_at + packet[_HEADER_LENGTH] + 1
        end = int.from_bytes(packet[2:_HEADER_LENGTH], "big")
        if password_at <= len(packet) and password_at + packet[password_at - 1] == end:
            kept = password_at
    return packet[:kept] + _BLANK * (len(packet) - kept)
