"""The life of scenario runs: definitions, triggers, decisions, packets and submissions, as deciders on the journal."""
