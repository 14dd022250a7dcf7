"""Scenario documents as people write them: validation, findings with places, normal form, JSON Schema."""
