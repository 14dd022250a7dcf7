"""What to say where a library is missing that only an extra brings.

What it does: gives the one wording of that advice. What it does not do: it looks for no library and installs nothing.

Rule: the product is on no package index, and whoever asked one for its name would get what somebody else put there; so
the advice names the clone, or a wheel that was built from it, and never the bare name.
"""


def install_advice(extra: str) -> str:
    """How to get the libraries of an extra."""
    return f"Install the extra `{extra}` from the clone of Interlock: pip install '/path/to/the/clone[{extra}]'."
