"""Decides again what was decided before: gates, decisions, packets and calls of a run, from its logs alone."""
