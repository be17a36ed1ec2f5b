"""Numbers and words of route netlink that more than one module speaks (rtnetlink(7))."""

__all__ = [
    "EVERYWHERE",
    "IFF_LOWER_UP",
    "IFF_NOARP",
    "IFF_POINTOPOINT",
    "IFF_UP",
    "RTNH_F_ONLINK",
    "RTPROT_KERNEL",
    "SCOPE_LINK",
    "TABLE_LOCAL",
    "TABLE_MAIN",
]

IFF_UP = 0x1  # linux/if.h, as the three below: the device is up
IFF_POINTOPOINT = 0x10  # it has one peer
IFF_NOARP = 0x80  # nobody is asked for an address
IFF_LOWER_UP = 0x10000  # it has a carrier
SCOPE_LINK = 253  # linux/rtnetlink.h, as the two below: the destination is on the link itself
RTNH_F_ONLINK = 4  # the gateway is on the link, whatever the addresses say
RTPROT_KERNEL = 2  # the kernel made it
TABLE_MAIN, TABLE_LOCAL = 254, 255  # linux/rtnetlink.h: the tables every machine has
EVERYWHERE = "0.0.0.0/0"  # the default route, by its prefix
