"""The process that leads a fleet: it plans submitted jobs, sends their units to workers, and delivers the outputs.

Read `coordinator.coordinator` first: its `step` is one pass of the loop. Then the parts in the order of that pass:
`quarantine`, `orders`, `admission` (with `opening`), `results`, `dispatcher`, `budgets` (with `reservation`) and
`finalizer` (with `outbox`). Each is given what it reads or changes: the open jobs (`active_jobs`), the batches
(`in_flight`), the workers (`roster`), the list of what is still to be done (`register`), how fast engines are
(`rates`). `main` is the process around it: who leads, and what happens when the disk fails.
"""
