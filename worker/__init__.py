"""The process on a GPU node: it takes batches, computes their units in an engine child, and commits the records.

Read `worker.main` first (boot, loop, drain), then `batch_run` (one batch), `lease_renewer`, `supervisor`
and `engine_process` (the engine child, and `protocol` between the two), `poison` (units that kill engines), and last
`node` (what machine this is), `notices` (that it will vanish) and `emulator` (a cloud that gives notices, for tests).
"""
