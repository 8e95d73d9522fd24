"""What coordinator and workers say to each other through Redis, with Celery's protocol.

Read `messages` first (what a batch is), then `queues` (where it waits), `leases` (who may compute a unit), `broker`
(every call that the coordinator makes), and `consumer` (how a worker takes batches). `app` is the Celery app,
`embedded` starts a Valkey server from a wheel.
"""
