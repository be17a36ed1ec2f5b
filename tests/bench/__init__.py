"""What the router costs, measured against its physical limit and its peers.

`python -m tests.bench` runs everything in network namespaces of its own and needs root. The
variants take turns inside one run, because a shared machine is never the same twice: only
ratios of medians from one run are comparable. TCP uses Reno in every namespace; BBR, some
machines' default, paces itself to less than any of these paths can carry.
"""
