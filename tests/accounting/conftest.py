"""Fixtures for whole jobs."""

from job_fixtures import bench as bench
