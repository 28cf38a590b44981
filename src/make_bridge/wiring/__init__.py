"""Parts of the composition root that are wired by themselves; ``boot`` calls them, and nobody else."""
