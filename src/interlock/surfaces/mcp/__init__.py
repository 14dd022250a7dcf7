"""MCP: two fronts, each on one process's standard input and output or over HTTP.

`front` speaks the official protocol through its SDK, with tools made from the catalogue of commands, and `http` carries
it; `wire` speaks the reference's own framing, results and errors for the clients that were made for it. `entrance` is
what requests over HTTP pass first; `pages` and `search` are the documentation that both show.
"""
