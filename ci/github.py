"""GitHub's API as far as the workflows need it, with the token and the repository that a runner's environment names."""

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
    """One repository, with the rights of one token."""

    url: str
    token: str

    @classmethod
    def from_env(cls, environ: Mapping[str, str] = os.environ) -> Repository:
        """Raises KeyError where it isn't a runner's environment."""
        api = environ.get("GITHUB_API_URL", "https://api.github.com")
        return cls(f"{api}/repos/{environ['GITHUB_REPOSITORY']}", environ["GITHUB_TOKEN"])

    def all(self, path: str) -> Iterator[Json]:
        """Everything of a list, page by page. Raises HTTPError."""
        for number in range(1, 101):
            found: list[Json] = self.get(f"{path}{'&' if '?' in path else '?'}per_page={PAGE}&page={number}")
            yield from found
            if len(found) < PAGE:
                return

    def get(self, path: str) -> Any:  # noqa: ANN401 - JSON
        """Raises HTTPError."""
        return self._send("GET", path)

    def write(self, method: str, path: str, body: Mapping[str, Any]) -> Json:
        """Raises HTTPError."""
        answer: Json = self._send(method, path, body)
        return answer

    def _send(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:  # noqa: ANN401 - JSON
        headers = {
            "Accept": "application/vnd.github+json",
            "Authorization": f"Bearer {self.token}",
            "X-GitHub-Api-Version": "2022-11-28",
        }
        data = None if body is None else json.dumps(body).encode()
        with urlopen(Request(f"{self.url}/{path}", data, headers, method=method), timeout=30) as answer:
            return json.load(answer)
