"""Tests of what a worker learns about the seconds of jobs."""
