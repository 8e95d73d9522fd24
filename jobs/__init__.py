"""What people ask of jobs on disk and see of them: orders, status, history, webhooks, retention.

Read `submissions` first (what an order is, and who applies it), then `submitting`, `queue_view` and `status` (how a
job stands), `history` (what happened to it), and `retention` and `purging` (what is kept, and what goes).
"""
