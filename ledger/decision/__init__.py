"""API or own GPUs, before money is spent: formulas, rules and red flags, every assumption an argument.

Read `compare` first (the formulas), then `inference_cost` and `breakeven`, `decide` (the rules, in their order), `tax`
(people), `redflags`, and `worksheet` (how a person says all of it).
"""
