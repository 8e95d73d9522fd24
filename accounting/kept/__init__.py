"""Sums of machines that cannot change any more, kept so that a month is read fast.

Read `period_totals` first (how a period is read), then `machine_fold` and `machine_sums` (one machine), `kept_sums`
(the files) and `kept_check` (whether one still holds).
"""
