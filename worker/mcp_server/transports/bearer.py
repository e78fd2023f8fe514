"""Tokens of callers over HTTP. The API behind decides which are valid."""

from __future__ import annotations

from time import monotonic

from mcp.server.auth.provider import AccessToken, TokenVerifier
from starlette.authentication import AuthenticationError
from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse

from worker.errors import Failure, Unauthorized
from worker.mcp_server.server import McpCaller, ToolServer, caller_name

REMEMBER_S = 60.0
"""Seconds for which a token counts as valid after the API accepted it. The API checks it again for each job."""

MOST_TOKENS = 1000


async def needs_token(server: ToolServer) -> bool:
    """Return whether the API rejects requests without a token. Raises Failure when it does not respond."""
    try:
        await (await server.api_of(McpCaller("", None))).templates()
    except Failure as failure:
        if failure.code != Unauthorized.code:
            raise
        return True
    return False


class ApiTokenVerifier(TokenVerifier):
    """Accepts the tokens that the API accepts. Invalid ones are not remembered."""

    def __init__(self, server: ToolServer) -> None:
        self._server = server
        self._valid_until: dict[str, float] = {}

    async def verify_token(self, token: str) -> AccessToken | None:
        """Return the token with the name of its caller, or None for an invalid one.

        Raises AuthenticationError when the API does not respond.
        """
        name, now = caller_name(token), monotonic()
        if self._valid_until.get(name, 0.0) < now:
            try:
                await (await self._server.api_of(McpCaller(name, token))).templates()
            except Failure as failure:
                if failure.code == Unauthorized.code:
                    return None
                raise AuthenticationError(failure.message) from failure
            except ValueError:
                return None  # a token that no header can carry
            if len(self._valid_until) >= MOST_TOKENS:
                self._valid_until.clear()
            self._valid_until[name] = now + REMEMBER_S
        return AccessToken(token=token, client_id=name, scopes=[])


def unavailable(connection: HTTPConnection, error: AuthenticationError) -> JSONResponse:
    """Return the response for a request whose token cannot be checked now."""
    return JSONResponse({"error": "temporarily_unavailable", "error_description": str(error)}, 503)
