"""Who may do what: roles and permissions as data, tokens, and the one check.

`AccessSettings` declares principals, roles and groups; `Access` decides; `Tokens` gives, proves and ends bearer tokens.
Nothing of HTTP is known here.
"""
