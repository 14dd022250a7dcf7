"""Bearer tokens: one decider, its verbs, and the proof of a text that a caller shows."""

from interlock.access.tokens.service import Tokens

__all__ = ["Tokens"]
