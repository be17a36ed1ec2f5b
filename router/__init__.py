"""postroad: a userspace NAT and dial-on-demand router for Linux TUN devices."""

__version__ = "0.1.0"
