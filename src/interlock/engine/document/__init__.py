"""Plan documents: plans written in YAML or JSON, checked as a whole before anything runs, and kept with each run."""
