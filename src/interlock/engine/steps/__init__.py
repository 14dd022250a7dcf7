"""The handlers of steps: what a step of a document does, by the name that the document gives."""
