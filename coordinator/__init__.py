"""Plans submitted jobs, decides what is lost, hands out batches, delivers. See `coordinator.main`."""
