"""Three-valued requirements over evidence: one logic for scenarios and for policies.

`tree` is the requirement, `evaluate` decides it with a trace, `text` and `check` read and bound what people write,
`explain` says why.
"""
