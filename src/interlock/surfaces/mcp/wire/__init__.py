"""The reference's wire: its tools, results and errors, byte for byte, over our own services.

`framing` reads and writes frames, `http` answers over HTTP by the `permissions` of whoever asks, `rpc` answers one
request of whatever transport, `tools` is the table of the eighteen tools, `requests` and `answers` are their records,
`faults` says which error of ours is which of theirs.
"""
