"""The tools of `comfy-worker mcp`: an AI agent lists templates and runs jobs over the Model Context Protocol.

    host of an agent -> stdio or http -> server -> tools -> caller_api -> native HTTP API of a worker

`server` needs the official SDK (`pip install 'comfy-worker[mcp]'`). The other modules know only the API behind.
"""
