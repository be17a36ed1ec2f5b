"""Wire formats: views over a mutable buffer, checked once, then read and written freely.

Each layer's contract is the same. `parse` looks at the header's bytes and answers with a
`Malformed` reason or with a promise: every accessor afterwards stays inside the buffer and cannot
fail. Nothing here raises for what came from the network.
"""
