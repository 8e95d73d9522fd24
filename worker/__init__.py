"""The process on a GPU node: boot, engine child, claims, notices, drain, metering of the node. See `worker.main`."""
