"""LangGraph with its SQLite saver, each checkpoint written before the next node runs (`durability="sync"`)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import cache
from typing import Any, TypedDict

from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.graph import END, START, StateGraph
from protocol import Crowd, Given, main

THREADS = 4


class State(TypedDict):
    """What the graph carries: the name of its run."""

    run: str


@asynccontextmanager
async def opened(given: Given) -> AsyncIterator[Crowd]:
    with (
        SqliteSaver.from_conn_string(str(given.folder / "checkpoints.db")) as saver,
        ThreadPoolExecutor(THREADS) as threads,
    ):

        @cache
        def graph(states: int) -> Any:
            return _graph(given, states).compile(checkpointer=saver)

        def drive(run: str, states: int) -> None:
            config = {"configurable": {"thread_id": run}, "recursion_limit": states + 10}
            known = graph(states).get_state(config) if given.noted else None
            if known and known.values and not known.next:
                return
            begun = bool(known and known.values)
            graph(states).invoke(None if begun else {"run": run}, config, durability="sync")

        async def crowd(ids: Sequence[str], states: int) -> None:
            loop = asyncio.get_running_loop()
            graph(states)
            await asyncio.gather(*(loop.run_in_executor(threads, drive, run, states) for run in ids))

        yield crowd


def _graph(given: Given, states: int) -> Any:
    made = StateGraph(State)
    names = [f"s{number:05d}" for number in range(states)]
    for number, name in enumerate(names):
        made.add_node(name, _node(given, number))
    for before, after in zip([START, *names], [*names, END], strict=True):
        made.add_edge(before, after)
    return made


def _node(given: Given, number: int) -> Callable[[State], State]:
    def node(state: State) -> State:
        given.note(state["run"], number)
        return {"run": state["run"]}

    return node


if __name__ == "__main__":
    main(opened)
