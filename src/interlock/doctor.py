"""`interlock doctor`: examine a store that nobody trusts yet.

What it does: opens the store read-only, asks the store for its physical integrity and `journal.verify` for the logical
one, and joins what both name. What it does not do: it mends nothing and writes nothing.
"""
