"""Tests of studies: a fleet file, simulated over a trace."""
