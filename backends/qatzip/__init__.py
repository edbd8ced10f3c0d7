"""Intel QuickAssist cards through QATzip."""

from backends.qatzip.backend import QatzipBackend

__all__ = ["QatzipBackend"]
