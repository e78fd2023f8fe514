"""comfy-worker: turns any rented GPU into a dependable ComfyUI endpoint.

A request's way, in one direction and without loops:

    HTTP request -> dialect -> Job -> admission -> prepare inputs -> ComfyUI -> deliver outputs -> dialect -> response
                                         |            (off the GPU's path)        (off the GPU's path)
                                      workload -----------------------> platform (autoscaler), observers

The ladder: a module imports from lower rungs or, within a rung, from names to its left (`tests/test_architecture.py`).

    0  errors  settings  supervision  stages  destination  job
    1  events  graph  comfyui.messages  storage.base
    2  library  comfyui  fetch  storage  inputs  models  outputs  formats  delivery  harvest
       journal_rows  journal  admission  observers
    3  pipeline  shelf  entries  registry  vetting
    4  gateway
    5  app
    6  platforms  nodes  deploy
    7  cli
"""

__version__ = "0.1.0"
