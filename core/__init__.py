"""Frozen types, errors, keys and time spans that every room shares. Standard library only."""
