"""Voice activity, segment boundaries and windows: where speech is, and which silence is not paid for."""
