"""A provider's bill beside the ledger, machine by machine.

Read `bill` first (the comparison), then `bill_file` and `bill_lines` (how exports are read).
"""
