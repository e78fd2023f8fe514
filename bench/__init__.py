"""Speed of a worker, compared with the ComfyUI behind it and with other servers in front of the same ComfyUI.

Every figure is a ratio of two things that are measured alternately in one run, because absolute times depend on the
machine and its other users. `python -m bench` measures, writes `docs/benchmarks.md` and fails when a target is missed.
"""
