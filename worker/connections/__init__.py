"""TCP connections of clients: time limits, and room for those that have shown who they are.

aiohttp waits without a limit for headers and bodies, and takes as many connections as there are file descriptors. Here

- a connection has to send its headers, and a body that keeps arriving, within limits;
- those that have not shown a valid signature or token are counted, in all and by client; where there are too many, the
  oldest of the client that has the most makes room for a new one, which may be an honest client's;
- the last file descriptors are the worker's own.

`mark_authenticated(request)` is called by what has checked a signature or token.
"""

from worker.connections.descriptors import raise_file_limit
from worker.connections.limits import ConnectionLimits
from worker.connections.site import HANDLER_OPTIONS, LimitedSite, mark_authenticated

__all__ = ["HANDLER_OPTIONS", "ConnectionLimits", "LimitedSite", "mark_authenticated", "raise_file_limit"]
