"""Operations put together into plans, and what marks them in a run."""
