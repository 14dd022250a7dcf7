"""Stop the set-up early, with advice, when the interpreter is too old.

It does NOT look for another interpreter. Rules: it runs on any Python 3, so it uses no newer syntax.
"""

import sys

if sys.version_info < (3, 11):  # noqa: UP036 - an older one is what it looks for
    sys.exit("Interlock needs Python 3.11 or newer; name one with: make setup PYTHON=python3.12")
