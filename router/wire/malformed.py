"""Why bytes from the network are not a packet: a verdict and a counter, never an exception."""

from enum import Enum

__all__ = ["Malformed"]


class Malformed(Enum):
    """The first thing found wrong with a packet."""

    TRUNCATED = "shorter than its headers"
    VERSION = "not IP version 4"
    HEADER_LENGTH = "IP header length below 20 or beyond the packet"
    TOTAL_LENGTH = "IP total length below the header or beyond the packet"
    HEADER_CHECKSUM = "IP header checksum wrong"
    OPTIONS = "IP options do not parse"
    FRAGMENT = "fragment reaches beyond 65535 bytes or is no multiple of 8 long"
    TINY_FRAGMENT = "first fragment too small for its transport header (RFC 1858)"
    TRANSPORT_LENGTH = "transport length field disagrees with the packet"
    DATA_OFFSET = "TCP data offset below 20 or beyond the packet"
    ICMP_CHECKSUM = "ICMP checksum wrong"
    OFFLOAD = "asks the device for a checksum or segmentation that its protocol has not"
    QUOTE = "ICMP error quotes no usable packet"
    PPP_LENGTH = "PPP packet length below its header or beyond the frame"
    PPP_OPTIONS = "PPP options do not parse"
    PPPOE_VERSION = "not PPPoE version 1 and type 1"
    PPPOE_LENGTH = "PPPoE length beyond the frame"
    PPPOE_TAGS = "PPPoE tags do not parse"
