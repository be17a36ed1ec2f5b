"""Network address and port translation (RFC 3022) with the behaviour of RFC 4787, 5382, 5508."""
