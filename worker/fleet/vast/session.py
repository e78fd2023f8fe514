"""One request to Vast's API, sent once through Vast's own client. A failed request raises one of our errors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import requests
from vastai.api.client import VastClient, VastSession

from worker.errors import VastKeyRefused, VastRateLimited, VastRefused, VastUnreachable

SECRET_FIELDS = frozenset({"value", "docker_login_pass", "api_key"})
"""Fields of a request whose values no error message may contain, even when Vast's own message does."""

MESSAGE_CHARS = 300


class Session(VastClient):  # type: ignore[misc]
    """Vast's client without its own retries, which would repeat a POST that already took effect (T45).

    `server_url` is always passed on, so that VAST_URL has no effect (T43). All requests share one connection.
    """

    def __init__(self, api_key: str, server_url: str, autoscaler_url: str, timeout_s: float) -> None:
        super().__init__(api_key, server_url, retry=1, timeout=timeout_s)
        self.calls = 0
        self._autoscaler_url = autoscaler_url
        self._http_session = VastSession(server_url)

    def close(self) -> None:
        """Close the connection."""
        self._http_session.close()

    def call_autoscaler(self, path: str, body: Mapping[str, Any]) -> Any:  # noqa: ANN401
        """Return the JSON response of the autoscaler, a separate service that needs the key in the body too."""
        url = self._autoscaler_url + path
        return self._request("POST", url, self._build_headers(), {**body, "api_key": self.api_key}).json()

    def _request(
        self,
        method: str,
        url: str,
        headers: dict[str, str],
        json_data: Any = None,  # noqa: ANN401
        timeout: float | None = None,
    ) -> requests.Response:
        """Send one request and return the response. All calls of Vast's client use this method.

        Raises DeployError unless the response is a success with JSON: VastUnreachable without a response or with a 5xx,
        VastRateLimited, VastKeyRefused or VastRefused.
        """
        self.calls += 1
        call = f"{method} {urlsplit(url).path}"
        try:
            response: requests.Response = self._http_session.request(
                method, url, headers=headers, json=json_data, timeout=self.timeout if timeout is None else timeout
            )
        except requests.RequestException as error:
            raise VastUnreachable(f"{call}: {_describe(error)}") from None
        failure = _failure(call, response, {str(self.api_key), *_secrets(json_data)})
        if failure:
            raise failure
        return response


def _describe(error: requests.RequestException) -> str:
    """Return in words what failed. The library's own messages contain object names and memory addresses."""
    if isinstance(error, requests.Timeout):
        return "no response in time"
    if isinstance(error, requests.ConnectionError | requests.exceptions.ChunkedEncodingError):
        return "no connection, or the connection broke"
    return f"the request failed ({type(error).__name__})"


def _failure(call: str, response: requests.Response, secrets: set[str]) -> Exception | None:
    """Return the error that a response stands for, or None for a success. No message contains one of the secrets."""
    if response.status_code == 429:
        return VastRateLimited(f"{call}: rate limited")
    if response.status_code == 408 or response.status_code >= 500:
        return VastUnreachable(f"{call}: HTTP {response.status_code}")
    try:
        body = response.json()
    except ValueError:
        if response.ok:
            return VastUnreachable(f"{call}: the response is not JSON")
        body = {"msg": response.text}
    if response.ok and not (isinstance(body, Mapping) and body.get("success") is False):
        return None
    message = f"{call}: {_reason(body, secrets) or f'HTTP {response.status_code}'}"
    kind = VastKeyRefused if response.status_code in (401, 403) else VastRefused
    return kind(message, response.status_code)


def _reason(body: object, secrets: set[str]) -> str:
    """Return Vast's own reason in the body of a response, shortened and without secrets, or an empty text."""
    if not isinstance(body, Mapping):
        return ""
    messages = [str(body[key]) for key in ("error", "msg", "message", "error_msg") if body.get(key)]
    text = ": ".join(dict.fromkeys(messages))
    for secret in secrets:
        text = text.replace(secret, "***")
    return text[:MESSAGE_CHARS]


def _secrets(body: object) -> set[str]:
    """Return the secret values in a request's body."""
    if not isinstance(body, Mapping):
        return set()
    return {str(value) for key, value in body.items() if key in SECRET_FIELDS and value}
