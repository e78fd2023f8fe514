"""The GPUs of this machine: what NVIDIA's driver reports about them, and whether the machine is as fast as it should be."""
