"""The work of known models: diffusion models, autoencoders, text encoders and upscale models."""
