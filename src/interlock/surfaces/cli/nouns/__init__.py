"""One module for each noun that wants more than the generic renderer: `PRESENTATION`, and nothing else."""
