"""The namespace lab: a LAN, the router, and an Internet, on one machine, out of everyone's way."""
