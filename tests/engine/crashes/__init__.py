"""Tests of the deaths of engines and of the jobs held responsible for them."""
