"""The running router: configuration, plumbing, forwarder, data plane and control API together."""

from router.daemon.router import run

__all__ = ["run"]
