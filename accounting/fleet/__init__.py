"""How machines were used, what being taken away cost, and what other machines would have cost.

Read `fleet_use` first, then `utilization`, `preemption` and `what_if`.
"""
