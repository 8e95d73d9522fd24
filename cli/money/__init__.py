"""Commands about money: the ledger, its page, prices, estimates, break-even and decisions."""
