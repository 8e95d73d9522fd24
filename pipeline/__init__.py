"""Stages, planning, running and assembling of jobs. Knows no broker.

Read `job` first (what a plan is), then `stages` (what a stage declares), `work` (what is ready), `batches` (one batch
through an engine), `lifecycle` (open, settle, deliver: for an embedded run and the coordinator alike), and `executor`
(the embedded run itself). What a person gives is in `inputs`, what is delivered in `outputs`.
"""
