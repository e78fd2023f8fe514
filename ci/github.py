"""A client of GitHub's API for the workflows, with the token and the repository from a runner's environment."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.request import Request, urlopen

PAGE = 100
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Repository:
    """One repository, accessed with one token."""

    url: str
    token: str

    @classmethod
    def from_env(cls, environ: Mapping[str, str] = os.environ) -> Repository:
        """Return the runner's repository. Raises KeyError outside a runner."""
        api = environ.get("GITHUB_API_URL", "https://api.github.com")
        return cls(f"{api}/repos/{environ['GITHUB_REPOSITORY']}", environ["GITHUB_TOKEN"])

    def all(self, path: str) -> Iterator[Json]:
        """Yield all items of a list, page by page. Raises HTTPError."""
        for number in range(1, 101):
            items: list[Json] = self.get(f"{path}{'&' if '?' in path else '?'}per_page={PAGE}&page={number}")
            yield from items
            if len(items) < PAGE:
                return

    def get(self, path: str) -> Any:  # noqa: ANN401 - JSON
        """Return the JSON of a GET. Raises HTTPError."""
        return self._send("GET", path)

    def write(self, method: str, path: str, body: Mapping[str, Any]) -> Json:
        """Send a body and return the JSON of the response. Raises HTTPError."""
        response: Json = self._send(method, path, body)
        return response

    def _send(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:  # noqa: ANN401 - JSON
        headers = {
            "Accept": "application/vnd.github+json",
            "Authorization": f"Bearer {self.token}",
            "X-GitHub-Api-Version": "2022-11-28",
        }
        data = None if body is None else json.dumps(body).encode()
        with urlopen(Request(f"{self.url}/{path}", data, headers, method=method), timeout=30) as response:
            return json.load(response)
