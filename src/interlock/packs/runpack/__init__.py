"""Runpacks: the runs of scenarios as folders of JSON, in the layout of seed 000, written, read and decided again."""
