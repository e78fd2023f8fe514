"""One request to Vast's API: sent once through Vast's own client, and an answer that isn't good is an error of ours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import requests
from vastai.api.client import VastClient, VastSession

from worker.errors import VastKeyRefused, VastRateLimited, VastRefused, VastUnreachable

SECRET_FIELDS = frozenset({"value", "docker_login_pass", "api_key"})
"""Fields of a request that no message may repeat, not even where Vast does."""

MESSAGE_CHARS = 300


class Session(VastClient):  # type: ignore[misc]
    """Vast's client without its own retries: it would send a POST again that already took effect (T45).

    `server_url` is always given, so that VAST_URL changes nothing (T43). One connection is kept for all requests.
    """

    def __init__(self, api_key: str, server_url: str, autoscaler_url: str, timeout_s: float) -> None:
        super().__init__(api_key, server_url, retry=1, timeout=timeout_s)
        self.calls = 0
        self._autoscaler_url = autoscaler_url
        self._open = VastSession(server_url)

    def close(self) -> None:
        self._open.close()

    def ask_autoscaler(self, path: str, body: Mapping[str, Any]) -> Any:  # noqa: ANN401
        """The answer of the service beside the console, which wants the key in the body as well."""
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
        """What all calls of Vast's client go through. Raises DeployError for everything but a good answer in JSON."""
        self.calls += 1
        asked = f"{method} {urlsplit(url).path}"
        try:
            answer: requests.Response = self._open.request(
                method, url, headers=headers, json=json_data, timeout=self.timeout if timeout is None else timeout
            )
        except requests.RequestException as error:
            raise VastUnreachable(f"{asked}: {_trouble(error)}") from None
        refusal = _refusal(asked, answer, {str(self.api_key), *_secrets(json_data)})
        if refusal:
            raise refusal
        return answer


def _trouble(error: requests.RequestException) -> str:
    """In our words: theirs name objects and addresses in memory."""
    if isinstance(error, requests.Timeout):
        return "no answer in time"
    if isinstance(error, requests.ConnectionError | requests.exceptions.ChunkedEncodingError):
        return "no connection, or it broke off"
    return f"not sent or not understood ({type(error).__name__})"


def _refusal(asked: str, answer: requests.Response, secrets: set[str]) -> Exception | None:
    """The error that an answer is, or None for a good one."""
    if answer.status_code == 429:
        return VastRateLimited(f"{asked}: rate limited")
    if answer.status_code == 408 or answer.status_code >= 500:
        return VastUnreachable(f"{asked}: HTTP {answer.status_code}")
    try:
        body = answer.json()
    except ValueError:
        if answer.ok:
            return VastUnreachable(f"{asked}: the answer is not JSON")
        body = {"msg": answer.text}
    if answer.ok and not (isinstance(body, Mapping) and body.get("success") is False):
        return None
    message = f"{asked}: {_said(body, secrets) or f'HTTP {answer.status_code}'}"
    kind = VastKeyRefused if answer.status_code in (401, 403) else VastRefused
    return kind(message, answer.status_code)


def _said(body: object, secrets: set[str]) -> str:
    """Vast's own reason, short, and without what must not be repeated."""
    if not isinstance(body, Mapping):
        return ""
    words = [str(body[key]) for key in ("error", "msg", "message", "error_msg") if body.get(key)]
    text = ": ".join(dict.fromkeys(words))
    for secret in secrets:
        text = text.replace(secret, "***")
    return text[:MESSAGE_CHARS]


def _secrets(body: object) -> set[str]:
    if not isinstance(body, Mapping):
        return set()
    return {str(value) for key, value in body.items() if key in SECRET_FIELDS and value}
