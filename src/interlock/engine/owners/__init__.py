"""Owning runs: claims, driving, the news from outside, and workers."""
