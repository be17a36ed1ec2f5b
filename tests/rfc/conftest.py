"""Every conformance test runs twice: with the rewrite cache and without."""

from tests.lab.network import build, router

__all__ = ["build", "router"]
