"""The picture of a plan and of a run on it: a pure model, and one module for each way of drawing it."""
