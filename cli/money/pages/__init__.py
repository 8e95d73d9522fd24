"""The ledger as pages of HTML.

Read `ledger_page` first (one job), then `month_page`.
"""
