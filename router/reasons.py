"""Why a packet got its verdict: counted, shown by `status`, explained by `explain`."""

from enum import Enum

__all__ = ["Reason"]


class Reason(Enum):
    """One reason per decision; the value is the sentence a person reads."""

    SESSION = "belongs to a session"
    NEW_SESSION = "opens a session from the LAN"
    FORWARDED = "opens a session through a port forward or the default host"
    FILTER_PASSED = "comes from a remote that the mapping's filtering lets in"
    FRAGMENT = "is a fragment of a datagram whose first fragment was passed"
    FRAGMENT_HELD = "is a fragment that waits for the first of its datagram"
    ICMP_ERROR = "is an ICMP error about a session"
    LAN_TO_LAN = "goes from one LAN network to another"
    LOCAL = "is for the router itself, which answers"
    TOO_BIG = "does not fit the next link and may not be fragmented"
    TTL_EXPIRED = "has no hops left"
    HELD = "waits until the line is up"
    WAITED_TOO_LONG = "has waited for the line for too long"
    PUSHED_OUT = "has made room for others that wait for the line"
    LINE_DENIED = "needs a line, and none may be raised now"
    LINE_FAILED = "needs a line, and none has come up"
    MAY_NOT_RAISE = "comes from a host that may use the line but not raise it"
    HOST_REFUSED = "comes from a host that may not use the line"
    REJECTED = "is rejected by the policy"
    IGNORED = "does not deserve that a line is raised"
    NO_ROUTE = "has no route while the line is down"
    LIMIT = "would open a session beyond a limit"
    NO_PORT = "would need an external port and none is free"
    CONFLICT = "would need a way back that another session already has"

    MALFORMED = "is malformed"
    SOURCE_ROUTED = "asks for a source route"
    MARTIAN_SOURCE = "has a source address that never belongs on a network"
    MARTIAN_DESTINATION = "has a destination address that is never forwarded"
    SPOOFED = "has a source address that belongs to another side"
    LINE_DOWN = "came from the line after it was gone"
    NOT_OURS = "arrived from the line for an address that is not behind it"
    BROADCAST = "is a broadcast or multicast, which ends at the router"
    UNSOLICITED = "is unsolicited: no session, no forward"
    FILTERED = "comes from a remote that the mapping's filtering keeps out"
    SOURCE_REFUSED = "comes from a remote that the forward does not admit"
    NO_SESSION = "belongs to no session and may not open one"
    ICMP_REFUSED = "is an ICMP message that never passes"
    LOCAL_IGNORED = "is for the router itself, which has nothing to say to it"

    __hash__ = object.__hash__  # Enum's own is Python code, and every packet is counted

    @property
    def slug(self) -> str:
        """The name used in counters, metrics and JSON."""
        return self.name.lower().replace("_", "-")

    @property
    def sentence(self) -> str:
        """What a person reads after "this packet"."""
        return self.value
