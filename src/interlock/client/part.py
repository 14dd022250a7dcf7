"""What the client of a server adds to the application: its error codes, and nothing else."""

from interlock.base.part import Part
from interlock.client.errors import ERRORS

PART = Part(name="client", errors=ERRORS)
