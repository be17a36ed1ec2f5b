"""The rewrite cache: what NAT decided for a session, ready to repeat on its next packet.

The cache never decides. It repeats, for whole packets of established sessions, exactly the edit
that the forwarder would make, and answers `Verdict.MISS` for anything it is not sure about. The
forwarder is right with the cache off.
"""

from router.fastpath._pure import RewriteCache
from router.fastpath.rewrite import Rewrite

__all__ = ["Rewrite", "RewriteCache"]
