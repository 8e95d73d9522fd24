"""Lines of one language to lines of another."""
