"""Tests of ComfyUI's own API in front of the worker."""
