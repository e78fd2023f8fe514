"""Vast.ai Serverless: the SDK's own `Worker` in front of the gateway, in the same process and event loop.

Only this folder imports Vast's SDK, and only when a worker is built. `docs/vast.md` lists the problems of the SDK that
this folder works around, each with its test.
"""
