"""Whether anything that amounts rest on was changed: journals, owners, labels, prices.

Read `verify` first, then `verify_jobs` and `verify_prices`.
"""
