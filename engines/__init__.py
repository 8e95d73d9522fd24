"""What computes: one protocol (`engine`), one table of providers (`roles`), and a folder for each role."""
