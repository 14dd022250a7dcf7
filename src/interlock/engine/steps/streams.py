"""The names under which an `exec` step keeps what its program wrote.

It holds names and nothing else: the step writes under them, and reports look for them.
"""

from __future__ import annotations

from typing import Final

STDOUT_KIND: Final = "ExecStdout"
STDERR_KIND: Final = "ExecStderr"

WITHHELD: Final = "exec_stream_withheld"
"""The event of a stream that looked like a secret, and was not kept."""
