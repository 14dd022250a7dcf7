"""Offline replay: recorded attempts enacted anew and compared, without a transport."""
