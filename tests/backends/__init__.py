"""Tests of the backends, with one suite that all of them pass."""
