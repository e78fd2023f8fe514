"""A simulation of RunPod Serverless, for RunPod's own worker SDK, its clients, and our worker.

It follows the protocol of the package `runpod`. `assumptions.py` lists what is assumed where nothing is public.
"""

from worker.simulators.runpod.assumptions import RunpodAssumptions
from worker.simulators.runpod.fault_config import FaultRule, RunpodFault, RunpodFaults
from worker.simulators.runpod.load_balancing.balancer import LocalLoadBalancer, serve_load_balancer
from worker.simulators.runpod.pods.pod_pool import PodOptions
from worker.simulators.runpod.pods.scaling import PodScaling
from worker.simulators.runpod.server import LocalRunpod, serve

__all__ = [
    "FaultRule",
    "LocalLoadBalancer",
    "LocalRunpod",
    "PodOptions",
    "PodScaling",
    "RunpodAssumptions",
    "RunpodFault",
    "RunpodFaults",
    "serve",
    "serve_load_balancer",
]
