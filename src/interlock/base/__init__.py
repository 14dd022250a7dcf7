"""Foundations without I/O: ids, canonical JSON, the persistent map, errors, bounds, secrets, clocks, parts.

This package imports nothing else of ours, opens no file, socket or process, and reads no clock except through
the `Clock` and `Entropy` it defines.
"""
