"""From journals, records and prices to reports, estimates, budgets, bills and closings.

Read `fleet_ledger` first (the store's facts, folded and charged to jobs), then `job` and `report` (what one job is
shown), `verdict` (what an API would have cost) and `avoided`. Beside them: `estimate` (before anything is spent),
`budget` and `spending` (while it is), `bill` (a provider's, beside ours), `months` and `closing`, `people`, and
`verify` (whether anybody has touched it). The arithmetic itself is the room `ledger`.
"""
