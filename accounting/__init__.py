"""From journals, records and prices to reports, estimates, budgets, bills and closings."""
