"""The control API: its server, its client, and what they exchange."""
