"""Tests of the state folder: locks, damage, and the folders of other releases."""
