"""Probe, decode and mux media; the only room that runs ffmpeg. It opens local regular files and nothing else."""
