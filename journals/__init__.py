"""What processes note while they work: facts in hash-chained files, one a process. Read `facts`, then `attempts`."""
