"""What a job delivers: assembled from its records (`assemble`), written by `results`, kept apart by `delivery`."""
