"""The GPUs of this machine: what NVIDIA's driver reports, and whether the machine is as fast as it should be."""
