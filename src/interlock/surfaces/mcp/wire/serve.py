"""The reference's wire over standard input and output.

What it does: reads a frame, has it answered, writes the answer, one after the other. What it does not do: it opens
nothing; `serving` gives it services and pipes.

Rules: a request that cannot be accepted is answered and the next one is read; a head that leaves no place to go on from
is answered too, and is the end. Whoever reads no more ends it as well.
"""

from __future__ import annotations

from interlock.base.errors import InterlockError
from interlock.surfaces.mcp.pipes import Drain, Source
from interlock.surfaces.mcp.wire.faults import INVALID_FRAME
from interlock.surfaces.mcp.wire.framing import Frames, framed
from interlock.surfaces.mcp.wire.rpc import Rpc, refusal


async def serve_frames(rpc: Rpc, source: Source, drain: Drain) -> None:
    """Answer every frame until there is none. Raises: `wire_frame_invalid`, `OSError` where nobody reads any more."""
    frames = Frames(source)
    while True:
        try:
            frame = await frames.next()
        except InterlockError:
            await drain.write(framed(refusal(INVALID_FRAME).body))
            raise
        if frame is None:
            return
        response = await rpc.answer(frame.body, frame.correlation_id)
        await drain.write(framed(response.body))
