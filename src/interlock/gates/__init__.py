"""Gates: scenarios whose stages open only on evidence.

`spec` and `records` are the shapes on the wire; `logic` decides, `comparators` compare, `evidence` is where values come
from; `scenario` reads and lints documents; `control` runs them as deciders.
"""
