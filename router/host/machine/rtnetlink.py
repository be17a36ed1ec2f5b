"""Numbers and words of route netlink that more than one module speaks (rtnetlink(7))."""

__all__ = ["EVERYWHERE", "IFF_UP", "RTNH_F_ONLINK", "RTPROT_KERNEL", "SCOPE_LINK"]

IFF_UP = 0x1  # linux/if.h: the device is up
SCOPE_LINK = 253  # linux/rtnetlink.h, as the two below: the destination is on the link itself
RTNH_F_ONLINK = 4  # the gateway is on the link, whatever the addresses say
RTPROT_KERNEL = 2  # the kernel made it
EVERYWHERE = "0.0.0.0/0"  # the default route, by its prefix
