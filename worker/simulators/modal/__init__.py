"""A simulation of Modal's control plane and HTTP edge, for Modal's own clients and Modal's own container process.

It follows the protocol in the package `modal`. `assumptions.py` lists what is assumed where nothing is public.
"""

from worker.simulators.modal.assumptions import ModalAssumptions
from worker.simulators.modal.container import ContainerOptions
from worker.simulators.modal.server import LocalModal, serve

__all__ = ["ContainerOptions", "LocalModal", "ModalAssumptions", "serve"]
