"""The process that leads a fleet: it plans submitted jobs, sends their units to workers, and delivers the outputs.

Read `coordinator.coordinator` first: its `step` is one pass of the loop. Then the parts in the order of that pass:
`quarantine`, `admission` (with `opening`), `results`, `dispatcher` (with `in_flight`), `budgets` (with `reservation`)
and `finalizer` (with `outbox`). `main` is the process around it: who leads, and what happens when the disk fails.
"""
