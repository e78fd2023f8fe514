"""Vast.ai Serverless: the SDK's own `Worker` in front of the gateway, in the same process and event loop.

Vast's SDK is imported in this folder only, and only once a worker is really built. The traps of the SDK that are
closed here are listed, each with its test, in `docs/vast.md`.
"""
