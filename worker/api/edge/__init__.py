"""Clients that don't come straight to our routes: browsers, reverse proxies, and those that know other servers."""
