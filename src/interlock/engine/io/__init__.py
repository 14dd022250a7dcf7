"""How a run reaches the outside: recorded calls through a router to transports."""
