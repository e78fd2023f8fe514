"""`comfy-worker proxy`: plain HTTP in front of backends, with routing, fallback, and a journal of accepted jobs.

    request -> requests (body, facts) -> ProxyJob -> journal -> dispatcher -> backend -> results -> response

A job that a backend has accepted is followed there, also after a restart. It is never submitted again, unless the
backend has lost it.
"""
