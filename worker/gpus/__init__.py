"""Facts about the GPUs of this machine, as NVIDIA's driver reports them."""
