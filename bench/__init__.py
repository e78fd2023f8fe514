"""How fast a worker is: against the ComfyUI behind it, and beside other servers in front of the same one.

Everything is a ratio of two things measured alternately in one run, because absolute times depend on the machine and
on who else uses it. `python -m bench` measures, writes `docs/benchmarks.md` and fails when a target is missed.
"""
