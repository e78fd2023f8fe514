"""TCP connections of clients, with time limits and a limit on unauthenticated clients.

aiohttp waits without a limit for headers and bodies, and accepts as many connections as there are file descriptors.
This package adds limits:

- Headers have to arrive in time, and a body has to keep arriving.
- Connections that have shown no valid signature or token are counted, in total and by client. Above the limit, a new
  connection evicts the oldest one of the client that has the most. The evicted one may belong to an honest client.
- The last file descriptors are reserved for the worker itself.

Code that has checked a signature or token calls `mark_authenticated(request)`.
"""

from worker.connections.descriptors import raise_file_limit
from worker.connections.limits import ConnectionLimits
from worker.connections.site import HANDLER_OPTIONS, LimitedSite, mark_authenticated

__all__ = ["HANDLER_OPTIONS", "ConnectionLimits", "LimitedSite", "mark_authenticated", "raise_file_limit"]
