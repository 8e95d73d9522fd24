"""Speech to text with word times."""
