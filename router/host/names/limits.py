"""How much is kept, and for how long one waits: every bound of the names on the LAN."""

__all__ = [
    "CACHE_BYTES",
    "CACHE_ENTRIES",
    "CONNECTIONS",
    "CONNECTION_IDLE_S",
    "ERRANDS",
    "HOST_ERRANDS",
    "JOINED",
    "LONGEST_TTL_S",
    "LONGEST_WAIT_S",
    "NEGATIVE_TTL_S",
    "PAYLOAD",
    "PLAIN_PAYLOAD",
    "RESTART_FIRST_S",
    "RESTART_MAX_S",
    "RESTART_STEADY_S",
    "TCP_PAYLOAD",
    "TCP_TRY_S",
    "TRIES_S",
]

# What waits
ERRANDS = 150  # queries under way: as many as dnsmasq itself has (dnsmasq(8), dns-forward-max)
HOST_ERRANDS = 40  # of one host: a browser's start, and two thirds left to the others
JOINED = 8  # of one host for one name: a resolver repeats itself three or four times
LONGEST_WAIT_S = 40.0  # seconds for a line: dnsmasq forgets a query after four times ten

# What is asked
TRIES_S = (2.0, 2.0, 3.0, 3.0)  # seconds per try, the servers in turn: a modem's half second
#                                 of round trip, twice, and then a server that is slow itself
TCP_TRY_S = 5.0  # seconds for an answer that does not fit a datagram; with all tries 15
PAYLOAD = 1232  # bytes of UDP that fit every path unfragmented (DNS flag day 2020)
TCP_PAYLOAD = 65535  # bytes by TCP: its length has two (RFC 1035, section 4.2.2)
PLAIN_PAYLOAD = 512  # bytes of UDP without EDNS (RFC 1035, section 2.3.4)

# What is remembered
CACHE_ENTRIES = 1000  # questions: an office's day
CACHE_BYTES = 4096  # of one answer; larger ones are rare, and asked for again
LONGEST_TTL_S = 86400.0  # seconds: a day, whatever a server says (RFC 8767, section 4)
NEGATIVE_TTL_S = 3600.0  # seconds: "no such name" is not believed for longer (RFC 2308, section 5)

# dnsmasq's TCP queries
CONNECTIONS = 40  # dnsmasq has 20 processes for TCP (its MAX_PROCS), each with one or two
CONNECTION_IDLE_S = 60.0  # seconds: longer than an answer may wait for a line

# dnsmasq itself
RESTART_FIRST_S = 1.0  # seconds after its first end
RESTART_MAX_S = 60.0  # seconds at most, each rest being twice the one before
RESTART_STEADY_S = 60.0  # seconds after which it has run well, and rests begin anew
