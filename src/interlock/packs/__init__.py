"""Packs: a run as one file that proves itself offline.

`container` and `folder` are the bytes, `manifest` says what is in them, `survey` walks what a run is made of, `export`
writes it, `verify` proves it without a store, `sign` says who vouches for it.
"""
