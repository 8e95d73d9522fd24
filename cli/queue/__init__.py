"""Commands about the queue: submitting, orders, watching, and the processes that work it off."""
