"""The checkpoint store: write-once, durable, self-verifying records on an ordinary disk. See `cache.store`."""
