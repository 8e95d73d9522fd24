"""What a job cost, what it avoided, what an API would have charged. Pure functions over facts. See `ledger.fold`."""
