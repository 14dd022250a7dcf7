"""Child runs: a run starts one run for each chapter, all at once, and puts together what they come to.

    RUN=e6000000-0000-4000-8000-000000000006
    echo '{"chapters": {"begin": "It was late.", "middle": "", "end": "They went home."}}' > chapters.json
    interlock run start examples/child_runs.py:plan --input @chapters.json --run-id $RUN
    interlock run list
    interlock run output $RUN book

A child is a run of its own: its id follows from its parent, the state and its name, so starting it again finds it. One
that fails (the empty chapter does) is an answer and no failure of its parent. Cancelling the parent cancels them.
"""

from interlock import Io, Plan, StateFailure

plan = Plan("book", version="1")
chapter = Plan("chapter", version="1")


@chapter.state
async def count(text: str) -> int:
    """Count the words of one chapter."""
    if not text:
        raise StateFailure("chapter_empty", "there is nothing in it")
    return len(text.split())


@plan.state
async def book(io: Io, chapters: dict[str, str]) -> dict[str, object]:
    """Start every child, then wait for each."""
    for name, text in chapters.items():
        await io.spawn(chapter, {"text": text}, name=name)
    found: dict[str, object] = {}
    for name in chapters:
        child = await io.joined(name)
        found[name] = await io.output(child, "count") if child.status == "completed" else child.status
    return found
