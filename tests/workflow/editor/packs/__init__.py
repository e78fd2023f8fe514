"""Tests of the rules of node packs."""
