"""Interlock: governed, durable execution for operations that must not go wrong."""

__version__ = "0.1.0"
