"""botocore's requests, sent to an address that was checked, whatever the host's name means a moment later."""

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
"""Every address of a host. Raises OSError."""


def look_up(host: str, port: int) -> list[str]:
    return [str(place[0]) for *_, place in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


class PinnedSender:
    """A handler of botocore's public event `before-send`, which may answer a request in botocore's place.

    No proxies and no redirects. TLS is checked against the name, the connection goes to the address.
    """

    def __init__(self, policy: Policy, resolve: Resolve = look_up, roots: str | None = None) -> None:
        """`roots`: a file of certificates to trust in the place of the public ones."""
        self._policy = policy
        self._resolve = resolve
        self._roots = roots or get_cert_path(True)
        self._pools: dict[tuple[str, str, int], urllib3.HTTPConnectionPool] = {}

    def __call__(self, request: AWSPreparedRequest, **_event: object) -> AWSResponse:
        """Raises UrlRefused, TargetNotAllowed, and botocore's errors, which it retries."""
        target = check_url(self._policy, request.url)
        parts = urlsplit(request.url)
        body = bytes(request.body) if isinstance(request.body, bytearray) else request.body
        try:
            answer = self._pool(target, request.url).urlopen(
                request.method,
                f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/",
                body=body,
                headers={**dict(request.headers.items()), "Host": parts.netloc},
                retries=False,
                redirect=False,
                preload_content=False,
                decode_content=False,
            )
            headers = HTTPHeaders.from_dict(dict(answer.headers))
            response = AWSResponse(request.url, answer.status, headers, answer)
            _read = response.content  # where botocore reads it, a broken connection is not retried any more
        except urllib3.exceptions.HTTPError as error:
            raise HTTPClientError(error=error) from error
        return response

    def _pool(self, target: FetchTarget, url: str) -> urllib3.HTTPConnectionPool:
        if target.origin not in self._pools:
            self._pools[target.origin] = self._connected(target, self._address(target, url))
        return self._pools[target.origin]

    def _address(self, target: FetchTarget, url: str) -> str:
        try:
            addresses = self._resolve(target.host, target.port)
        except OSError as error:
            raise EndpointConnectionError(endpoint_url=url, error=error) from error
        self._policy.check_answer(target.host, target.port, [ip_address(address) for address in addresses])
        return addresses[0]

    def _connected(self, target: FetchTarget, address: str) -> urllib3.HTTPConnectionPool:
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
