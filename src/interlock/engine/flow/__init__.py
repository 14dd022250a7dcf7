"""How much may happen at once: what an entry needs, and the units that a process holds and waits for."""
