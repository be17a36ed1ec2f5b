"""The dial ledger: every attempt to raise a line, who wanted it, and what became of it."""
