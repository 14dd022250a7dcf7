"""Check the locks."""
