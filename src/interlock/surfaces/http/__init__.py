"""HTTP: the API that is generated from the catalogue, and what stands beside it under one root.

`routes` says which path a command has, `requests` reads and writes its input, `calls` answers it, `edge` finds out who
asks, `problems` tells errors, `app` puts everything together. Nothing here knows a verb.
"""
