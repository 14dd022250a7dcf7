"""Comparing evidence with what is expected: the sixteen comparators, and which of them a type allows."""
