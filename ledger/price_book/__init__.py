"""What things cost: dated rows of prices, the files they come in, and the checks that a row passes.

Read `prices` first (a row, and how one is found), then `price_files` (where rows come from), `tiers` and `model_tiers`
(the class of a model), `sources` (which one counts), `price_checks` and `price_history` (what a row must keep).
"""
