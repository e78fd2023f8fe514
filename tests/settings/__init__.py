"""Tests of settings that other programs' variables change."""
