"""Tests of traces and of the simulation of a fleet."""
