"""Cues, their times and their lines; subtitle files in and out. Pure functions over `core` types.

Read `rules` first (what a good cue is), then `cues` (words to cues), `timing` and `lines`, `lint` (what is still
broken), `formats` (files out) and `read` (files in).
"""
