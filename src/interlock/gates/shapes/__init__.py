"""The registry of data shapes: JSON Schemas under an id and a version, which never change.

`check` says what can be registered, `kept` is the life cycle on the journal, `registry` registers and finds, `commands`
are its verbs.
"""
