"""Accuracy of predicted seconds, and of the load that an autoscaler receives. `python -m bench.load` measures it.

Each part is one file and measures one row of the table. The true durations come from outside of `worker.load`: from
public measurements, from a production trace, from a real ComfyUI, or from the generator in `mixed/world.py`.
"""
