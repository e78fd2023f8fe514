"""The tables of `vast.toml` as types: what an account at Vast should hold for one fleet of workers."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from worker.fleet.definition.simulation_table import SimulationTable
from worker.fleet.definition.table import Amount, Count, Dollars, PositiveCount, Seconds, Table, key

ONSTART = "/opt/comfy-worker/bin/comfy-worker onstart"
MARK = "COMFY_WORKER_FLEET"
"""Environment variable of a template whose value is the id of the fleet that owns the template."""
CUDA = 13.0
"""CUDA version that the host's driver has to support for the image's torch."""

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+$", max_length=64)]
FleetId = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+$", min_length=4, max_length=64)]
Variable = Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]*$")]
Port = Annotated[int, Field(ge=1, le=65535)]


class Search(Table):
    """Bounds on the machines to rent. Each key is one term of Vast's search language; a missing key is no bound."""

    gpus: list[str] = key('names of GPUs as Vast writes them: `["RTX 4090", "L40S"]`', [])
    gpus_per_worker: PositiveCount | None = key("number of GPUs in one machine", None)
    min_vram_gb: Amount | None = key("smallest allowed memory of one GPU in GB", None)
    min_compute_capability: Amount | None = key(
        "lowest allowed compute capability of the GPU, such as `8.9` for Ada", None
    )
    min_cuda: Annotated[float, Field(ge=CUDA)] | None = key("CUDA version that the host's driver must support", None)
    min_reliability: Annotated[float, Field(ge=0, le=1)] | None = key(
        "lowest allowed reliability of the host, from 0 to 1", None
    )
    max_price: Dollars | None = key("highest allowed price of one worker in dollars per hour", None)
    max_traffic_price: Amount | None = key(
        "highest allowed price of traffic in dollars per GB, for each direction", None
    )
    verified: bool | None = key("`true` allows only hosts that Vast has verified; `false` allows any", None)
    datacenter: bool | None = key("`true` allows only hosts in data centers", None)
    regions: list[str] = key('allowed countries: `["US", "DE"]`', [])
    not_regions: list[str] = key("excluded countries", [])
    min_disk_gb: Amount | None = key("smallest allowed free disk of the host in GB", None)
    min_disk_mbps: Amount | None = key("lowest allowed read rate of the host's disk in MB/s", None)
    min_download_mbps: Amount | None = key(
        "lowest allowed download rate in Mbit/s; each new worker downloads the image and models", None
    )
    min_upload_mbps: Amount | None = key("lowest allowed upload rate in Mbit/s", None)
    min_ram_gb: Amount | None = key("smallest allowed memory of the machine in GB", None)
    min_cpu_cores: Amount | None = key("smallest allowed number of CPU cores for the worker alone", None)


class GroupSpec(Search):
    """One group of workers, rented by one search."""

    max_workers: PositiveCount = key("largest number of workers in this group")
    max_price: Dollars = key("highest allowed price of one worker in dollars per hour")
    gpus_per_worker: PositiveCount | None = key("number of GPUs in one machine", 1)
    min_cuda: Annotated[float, Field(ge=CUDA)] | None = key("CUDA version that the host's driver must support", CUDA)
    min_reliability: Annotated[float, Field(ge=0, le=1)] | None = key(
        "lowest allowed reliability of the host, from 0 to 1", 0.98
    )
    verified: bool | None = key("`true` allows only hosts that Vast has verified; `false` allows any", True)
    min_disk_gb: Amount | None = key(
        "smallest allowed free disk of the host in GB; the default is the template's `disk_gb`", None
    )


class RegistryLogin(Table):
    """Login to a private registry, as names of local environment variables. The file never has their values."""

    server: str = key("host of the registry, such as `ghcr.io`; empty means Docker Hub", "")
    user_env: Variable = key("name of the variable that holds the user")
    password_env: Variable = key("name of the variable that holds the password or token")


class TemplateSpec(Table):
    """The template: the settings with which a worker's container is started."""

    name: Name = key("name of the template in the account")
    image: str = key("`REPO@sha256:...` or `REPO:TAG`; `--image` overrides it", "")
    mode: Literal["args", "ssh"] = key(
        "`args` runs the image's own entry point; `ssh` runs Vast's entry point, which then runs `onstart`", "args"
    )
    args: str = key("arguments that replace the image's command, in mode `args`", "")
    onstart: Annotated[str, Field(max_length=4048)] = key(f"command that mode `ssh` runs; empty means `{ONSTART}`", "")
    ports: list[Port] = key(
        "ports that can be reached from outside; the worker's own port has to be one of them", [3000]
    )
    disk_gb: Annotated[float, Field(ge=8)] = key(
        "disk of a container in GB, for image, models and outputs; it cannot change later"
    )
    env: dict[Variable, str] = key("environment variables of the container; secrets are rejected", {})
    filters: Search = key("a table with the same bounds as a group, stored in the template itself", Search())
    registry: RegistryLogin | None = key("a table with the login to a private registry", None)


class EndpointSpec(Table):
    """The endpoint that clients call, and how it scales. Capacities are units a second; an RTX 4090 does about 1."""

    name: Name = key("name by which clients find the endpoint")
    state: Literal["active", "suspended", "stopped"] = key(
        "`stopped` makes all workers inactive, so that only disk is billed", "active"
    )
    max_workers: PositiveCount = key("largest number of workers in all groups together")
    cold_workers: Count = key("number of workers, stopped or running, that are kept while there is no load", 1)
    min_load: Amount = key("capacity of running workers that is always kept; above 0, at least one worker runs", 0.0)
    min_cold_load: Amount = key("capacity of running and stopped workers together that is always kept", 0.0)
    target_util: Annotated[float, Field(gt=0, le=1)] = key(
        "expected load divided by the capacity of running workers", 0.9
    )
    cold_mult: Amount = key("capacity of running and stopped workers, divided by that of running workers", 2.5)
    max_queue_time: Seconds = key(
        "seconds of work that may wait at one worker; further requests wait in the router", 30.0
    )
    target_queue_time: Seconds = key("seconds of waiting work; if more waits, Vast adds workers quickly", 10.0)
    inactivity_timeout: float = key("idle seconds after which the last worker may stop; below 0 means never", 600.0)


class ReadinessRules(Table):
    """The condition under which an apply has succeeded."""

    workers: PositiveCount = key("number of ready workers to wait for", 1)
    limit_s: Seconds = key("longest wait in seconds", 1800.0)


class SmokeSpec(Table):
    """A job that an apply sends through Vast's own client when the workers are ready."""

    template: str = key("name of a template in `workflows/`", "smoke-resize")
    params: dict[str, Any] = key("parameters of the template", {})
    limit_s: Seconds = key("longest wait for the result in seconds", 300.0)


class Fleet(Table):
    """The whole fleet file."""

    id: FleetId = key(
        f"random text that marks what this fleet owns, stored in the template's `{MARK}`; `deploy init` writes it"
    )
    template: TemplateSpec = key("a table: the settings with which a worker's container is started")
    endpoint: EndpointSpec = key("a table: the endpoint that clients call")
    groups: Annotated[dict[Name, GroupSpec], Field(min_length=1)] = key(
        "one table for each group of workers: `[groups.NAME]`"
    )
    environment: list[Variable] = key(
        "names of account variables, which every container gets; their values come from the local environment", []
    )
    readiness: ReadinessRules = key("a table: the condition under which an apply has succeeded", ReadinessRules())
    simulation: SimulationTable = key(
        "a table: what `comfy-worker fleet simulate` assumes; `deploy` ignores it", SimulationTable()
    )
    smoke: SmokeSpec | None = key("a table: a job that has to succeed; without the table, no job is sent", None)

    @property
    def most_per_hour(self) -> float:
        """Highest possible cost in dollars per hour, without disk and traffic.

        The endpoint's `max_workers` are given to the groups with the highest `max_price` first.
        """
        remaining, total = self.endpoint.max_workers, 0.0
        for group in sorted(self.groups.values(), key=lambda group: -group.max_price):
            count = min(remaining, group.max_workers)
            remaining, total = remaining - count, total + count * group.max_price
        return total


TABLES: dict[str, type[Table]] = {
    "": Fleet,
    "template": TemplateSpec,
    "template.filters": Search,
    "template.registry": RegistryLogin,
    "endpoint": EndpointSpec,
    "groups.NAME": GroupSpec,
    "readiness": ReadinessRules,
    "smoke": SmokeSpec,
    "simulation": SimulationTable,
}


def table_at(path: tuple[str, ...]) -> type[Table] | None:
    """Return the table at a path of keys such as `("groups", "big")`, or None when the path is no table of the file."""
    if path[:1] == ("groups",) and len(path) > 1:
        path = ("groups", "NAME", *path[2:])  # all groups have the same keys
    return TABLES.get(".".join(path))
