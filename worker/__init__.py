"""comfy-worker: turns any rented GPU into a dependable ComfyUI endpoint.

A request passes these parts in one direction, without loops:

    request -> intake (dialect) -> Job -> admission -> prepare inputs -> engine pool -> deliver outputs -> response
                                             |            (off the GPU's path)            (off the GPU's path)
                                          workload -----------------------> platform (autoscaler), observers

The ladder: a module imports from lower rungs or, within a rung, from names to its left (`tests/test_architecture.py`).

    0  errors  settings  check_finding  platforms.base  subcommand  backoff  sse  supervision  startup_timing
       delivery_options  extra_data  prompt_changes  job
    1  model_file  events  bodies  workflow  load  prices  media_facts  engine.protocol.messages  storage.base
       connections  gpus
    2  workflow.templates.library  jobs.job_index  simulators.comfyui  engine  fetch  storage  inputs  models  outputs
       handlers  jobs.prompt_work  jobs.state_lock  jobs.state_folder  jobs.journal_rows  jobs.journal_file
       jobs.journal  jobs.admission  observers
    3  pipeline  jobs  preflight
    4  dialects  intake  api
    5  app
    6  simulators.vast_router  platforms  node_packs  fleet  simulators
    7  backends  proxy  cli.output  cli.client.temporary_worker  cli.client.worker_client  mcp_server  cli
"""

__version__ = "0.2.0"
