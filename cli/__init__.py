"""The command line: what a person types, reads and pipes.

Read `main` first (the commands, and where errors become exit codes), then `options` (flags, declared once), `run` and
`summary`. A command is one file: those about money in `money`, those about the queue in `queue`.
"""
