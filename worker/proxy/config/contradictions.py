"""Problems of values in `proxy.toml` that are valid alone but not together with others. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from fnmatch import fnmatchcase
from urllib.parse import urlsplit

from worker.api.auth import is_loopback
from worker.api.edge.cors import Cors
from worker.api.edge.hosts import AllowedHosts
from worker.api.edge.proxies import trusted_networks
from worker.backends.settings import kind_of
from worker.errors import ConfigProblem, StartupError
from worker.proxy.config.tables import BackendTable, ProxyConfig, RouteTable
from worker.workflow.nearest import did_you_mean


def contradictions(config: ProxyConfig) -> Iterator[ConfigProblem]:
    """Yield the problems of a configuration whose tables are valid."""
    yield from _server_problems(config)
    for index, backend in enumerate(config.backends):
        yield from _backend_problems(backend, index)
    yield from _repeated("backends", [backend.name for backend in config.backends])
    yield from _repeated("callers", [caller.name for caller in config.callers])
    yield from _caller_problems(config)
    names = [backend.name for backend in config.backends]
    for index, route in enumerate(config.routes):
        yield from _route_problems(route, index, names)
        if route.callers and not _any_match(route.callers, [caller.name for caller in config.callers]):
            yield ConfigProblem("match no caller of this file", "routes", "callers", index)
    for index, route in enumerate(config.routes[:-1]):
        if route.matches_all_jobs:
            yield ConfigProblem(
                "matches all jobs, so the routes after it are never used; write it last", "routes", "", index
            )


def _server_problems(config: ProxyConfig) -> Iterator[ConfigProblem]:
    """Yield the problems of the table `[server]`."""
    server = config.server
    if not config.callers and not is_loopback(server.host):
        yield ConfigProblem(
            f"{server.host} can be reached by others, who could send jobs: add [[callers]], or listen on 127.0.0.1",
            "server",
            "host",
        )
    readers: tuple[tuple[str, Callable[[str], object], tuple[str, ...]], ...] = (
        ("cors_origins", Cors.read, server.cors_origins),
        ("allowed_hosts", AllowedHosts.read, server.allowed_hosts),
        ("trusted_proxies", trusted_networks, server.trusted_proxies),
    )
    for name, read, values in readers:
        try:
            read(", ".join(values))
        except StartupError as error:
            yield ConfigProblem(str(error).partition(": ")[2] or str(error), "server", name)


def _backend_problems(backend: BackendTable, index: int) -> Iterator[ConfigProblem]:
    """Yield the problems of one backend."""
    try:
        kind_of(backend.url)
    except (StartupError, ValueError) as error:
        yield ConfigProblem(str(error), "backends", "url", index)
    else:
        if "@" in urlsplit(backend.url).netloc:
            yield ConfigProblem("has a user or password; write key_env or key_file", "backends", "url", index)
    if backend.key_env and backend.key_file:
        yield ConfigProblem("is there besides key_env; keep one of the two", "backends", "key_file", index)


def _route_problems(route: RouteTable, index: int, names: list[str]) -> Iterator[ConfigProblem]:
    """Yield the problems of one route. `names` are those of the backends."""
    for key, chosen in (("backends", route.backends), ("fallback", route.fallback)):
        for name in chosen:
            if name not in names:
                cure = did_you_mean(name, names) or f"Known: {', '.join(names)}."
                yield ConfigProblem(f"{name!r} is no backend of this file. {cure}", "routes", key, index)
    if not any(route.backends.values()):
        yield ConfigProblem("all weights are 0; one has to be larger", "routes", "backends", index)


def _caller_problems(config: ProxyConfig) -> Iterator[ConfigProblem]:
    """Yield the problems of the callers and their keys."""
    owners: dict[str, str] = {}
    if config.server.metrics_key_sha256:
        owners[config.server.metrics_key_sha256] = "the metrics"
    names = [backend.name for backend in config.backends]
    for index, caller in enumerate(config.callers):
        for digest in caller.key_sha256:
            if digest in owners:
                yield ConfigProblem(f"is also the key of {owners[digest]}", "callers", "key_sha256", index)
            owners[digest] = caller.name
        if caller.backends and not _any_match(caller.backends, names):
            yield ConfigProblem("match no backend of this file", "callers", "backends", index)


def _repeated(table: str, names: list[str]) -> Iterator[ConfigProblem]:
    """Yield a problem for each table whose name another one before it has."""
    for index, name in enumerate(names):
        if name in names[:index]:
            yield ConfigProblem(f"{name!r} is the name of another table; choose another name", table, "name", index)


def _any_match(patterns: Iterable[str], names: Iterable[str]) -> bool:
    """Return whether one of the patterns matches one of the names."""
    return any(fnmatchcase(name, pattern) for name in names for pattern in patterns)
