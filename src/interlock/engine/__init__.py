"""The engine: plans of states run durably, event-sourced, resumable.

Pure: `plan`, `schedule`, `retry`, `fold`, `decide`, `config`, `meta`. Ordering of I/O: `loop` alone. Ways out: `io`.
"""
