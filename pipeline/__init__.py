"""Stages, planning, running and assembling of jobs. Knows no broker."""
