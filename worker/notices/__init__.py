"""Where a node learns that it will be taken away: Azure, AWS, GCP, a file, a signal."""
