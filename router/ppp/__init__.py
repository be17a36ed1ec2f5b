"""The point-to-point protocol in both roles, without input, output or a clock (RFC 1661)."""
