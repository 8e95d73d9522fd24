"""What people ask of jobs on disk and see of them: orders, status, history, webhooks, retention."""
