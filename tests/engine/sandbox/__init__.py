"""Tests of the engines' sandbox."""
