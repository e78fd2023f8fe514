"""Transport for botocore that connects to a checked IP address, so that a later DNS change has no effect."""

from __future__ import annotations

import socket
from collections.abc import Callable
from ipaddress import ip_address
from urllib.parse import urlsplit

import urllib3
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.compat import HTTPHeaders
from botocore.exceptions import EndpointConnectionError, HTTPClientError
from botocore.httpsession import get_cert_path

from worker.fetch.policy import Policy
from worker.fetch.target import FetchTarget
from worker.storage.allowed import check_url

CONNECT_S, READ_S = 10.0, 60.0

Resolve = Callable[[str, int], list[str]]
"""Returns every address of a host. Raises OSError."""


def resolve_host(host: str, port: int) -> list[str]:
    """Return every IP address of a host, by the system's resolver. Raises OSError if it has none."""
    return [str(address[0]) for *_, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


class PinnedSender:
    """A handler of botocore's public event `before-send`, which sends the request in place of botocore.

    It uses no proxies and follows no redirects. The connection goes to the checked address, and TLS certificates are
    verified against the host name.
    """

    def __init__(self, policy: Policy, resolve: Resolve = resolve_host, roots: str | None = None) -> None:
        """Send requests to the hosts that `policy` allows.

        `roots` is a file of trusted certificates that replaces the public ones.
        """
        self._policy = policy
        self._resolve = resolve
        self._roots = roots or get_cert_path(True)
        self._pools: dict[tuple[str, str, int], urllib3.HTTPConnectionPool] = {}

    def __call__(self, request: AWSPreparedRequest, **_event: object) -> AWSResponse:
        """Send a request of botocore, and return the response with its whole body.

        Raises UrlRefused and TargetNotAllowed, and botocore's HTTPClientError and EndpointConnectionError, which
        botocore retries.
        """
        target = check_url(self._policy, request.url)
        parts = urlsplit(request.url)
        path = parts.path or "/"
        body = bytes(request.body) if isinstance(request.body, bytearray) else request.body
        try:
            reply = self._pool(target, request.url).urlopen(
                request.method,
                f"{path}?{parts.query}" if parts.query else path,
                body=body,
                headers={**dict(request.headers.items()), "Host": parts.netloc},
                retries=False,
                redirect=False,
                preload_content=False,
                decode_content=False,
            )
            headers = HTTPHeaders.from_dict(dict(reply.headers))
            response = AWSResponse(request.url, reply.status, headers, reply)
            _body = response.content  # read here, because botocore does not retry a connection that breaks later
        except urllib3.exceptions.HTTPError as error:
            raise HTTPClientError(error=error) from error
        return response

    def _pool(self, target: FetchTarget, url: str) -> urllib3.HTTPConnectionPool:
        """Return the pool of connections to a host, which is created with the first request.

        The address of the host is resolved and checked only then, so that a later DNS change has no effect.
        """
        if target.origin not in self._pools:
            self._pools[target.origin] = self._new_pool(target, self._address(target, url))
        return self._pools[target.origin]

    def _address(self, target: FetchTarget, url: str) -> str:
        """Return one IP address of a host after all of them were checked.

        Raises EndpointConnectionError if the host has none, and TargetNotAllowed or UrlRefused if one is not allowed.
        """
        try:
            addresses = self._resolve(target.host, target.port)
        except OSError as error:
            raise EndpointConnectionError(endpoint_url=url, error=error) from error
        self._policy.check_addresses(target.host, target.port, [ip_address(address) for address in addresses])
        return addresses[0]

    def _new_pool(self, target: FetchTarget, address: str) -> urllib3.HTTPConnectionPool:
        """Return a pool of connections to an IP address. With TLS, certificates are verified against the host name."""
        timeout = urllib3.Timeout(connect=CONNECT_S, read=READ_S)
        if not target.encrypted:
            return urllib3.HTTPConnectionPool(address, target.port, timeout=timeout, maxsize=4)
        return urllib3.HTTPSConnectionPool(
            address,
            target.port,
            timeout=timeout,
            maxsize=4,
            cert_reqs="CERT_REQUIRED",
            ca_certs=self._roots,
            server_hostname=target.host,
            assert_hostname=target.host,
        )
