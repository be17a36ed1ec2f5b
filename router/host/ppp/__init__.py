"""PPP on this machine: lines that carry frames, the device of packets, and the session between."""
