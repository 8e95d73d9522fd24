"""Cues, their times and their lines; subtitle files in and out. Pure functions over `core` types."""
