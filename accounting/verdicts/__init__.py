"""Which was cheaper: what was paid against what APIs would charge for the same work, of a job and of a month.

Read `verdict` first (a job's), then `workload` (what APIs count of it), `month_verdict` and `month_work`, `api_bill`
and `unit_costs`.
"""
