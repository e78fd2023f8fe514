"""Tests of the state folder: its lock, damage, and folders of other releases."""
