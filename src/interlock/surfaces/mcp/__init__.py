"""MCP: two fronts on one process's standard input and output.

`front` speaks the official protocol through its SDK, with tools made from the catalogue of commands; `wire` speaks the
reference's own framing, results and errors for the clients that were made for it. `pages` and `search` are the
documentation that both show.
"""
