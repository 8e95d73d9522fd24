"""Probe, decode and mux media; the only room that runs ffmpeg. It opens local regular files and nothing else.

Read `probe` first (what is inside a file), then `tracks`, `decode` (samples on the clock that a player shows) with
`decoding` (the process that does it), `placement` and `damage` (gaps, drift, what is lost), and `mux`.
"""
