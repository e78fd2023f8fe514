"""Requests to URLs that users wrote: input files, webhooks, model files and presigned uploads."""
