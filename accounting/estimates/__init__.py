"""What work will cost, from how fast this store was and what its days have cost.

Read `estimate` first (of media that are there), then `catalogue` (of work that is not), `forecast` (of a month) and
`measured_speeds`.
"""
