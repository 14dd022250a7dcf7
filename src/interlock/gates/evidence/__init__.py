"""Evidence: what providers say, and how far it is believed.

`records` are the shapes; `contracts` say what a provider can be asked; `providers` ask; `trust` holds lanes, anchors
and signatures against the policy; `query` asks for all that a stage needs.
"""
