"""`vast.toml` as types: what an account at Vast should hold for one fleet of workers."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

ONSTART = "/opt/comfy-worker/bin/comfy-worker onstart"
MARK = "COMFY_WORKER_FLEET"
"""The variable of a template that names the fleet which owns it."""
CUDA = 13.0
"""What the image's torch needs of a host's driver."""

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+$", max_length=64)]
FleetId = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+$", min_length=4, max_length=64)]
Variable = Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]*$")]
Port = Annotated[int, Field(ge=1, le=65535)]
Count = Annotated[int, Field(ge=0)]
Some = Annotated[int, Field(ge=1)]
Amount = Annotated[float, Field(ge=0)]
Dollars = Annotated[float, Field(gt=0)]
Seconds = Annotated[float, Field(gt=0)]


def key(about: str, default: Any = ...) -> Any:  # noqa: ANN401 - as pydantic.Field is typed
    """A key of a table, with the sentence that documents it; without a default it has to be there."""
    return Field(default, description=about)


class Table(BaseModel):
    """Nothing is guessed: an unknown key and a value of another type are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Search(Table):
    """Bounds on what is rented, each one term of Vast's search language; one that is left out is no bound."""

    gpus: list[str] = key('names as Vast has them: `["RTX 4090", "L40S"]`', [])
    gpus_per_worker: Some | None = key("GPUs in one machine", None)
    min_vram_gb: Amount | None = key("memory of one GPU", None)
    min_compute_capability: Amount | None = key("of the GPU: `8.9` for Ada", None)
    min_cuda: Annotated[float, Field(ge=CUDA)] | None = key("newest CUDA that the host's driver runs", None)
    min_reliability: Annotated[float, Field(ge=0, le=1)] | None = key("of the host, 0 to 1", None)
    max_price: Dollars | None = key("dollars per hour for one worker", None)
    max_traffic_price: Amount | None = key("dollars per GB, for what comes in and for what goes out", None)
    verified: bool | None = key("only hosts that Vast has verified; `false`: any", None)
    datacenter: bool | None = key("only hosts in data centers", None)
    regions: list[str] = key('only there: `["US", "DE"]`', [])
    not_regions: list[str] = key("not there", [])
    min_disk_gb: Amount | None = key("free disk of the host", None)
    min_disk_mbps: Amount | None = key("MB/s that the host's disk reads", None)
    min_download_mbps: Amount | None = key("Mbit/s from the internet: image and models come this way", None)
    min_upload_mbps: Amount | None = key("Mbit/s to the internet", None)
    min_ram_gb: Amount | None = key("memory of the machine", None)
    min_cpu_cores: Amount | None = key("that are the worker's own", None)


class GroupSpec(Search):
    """Workers that are rented by one search."""

    max_workers: Some = key("most workers of this kind")
    max_price: Dollars = key("dollars per hour for one worker")
    gpus_per_worker: Some | None = key("GPUs in one machine", 1)
    min_cuda: Annotated[float, Field(ge=CUDA)] | None = key("newest CUDA that the host's driver runs", CUDA)
    min_reliability: Annotated[float, Field(ge=0, le=1)] | None = key("of the host, 0 to 1", 0.98)
    verified: bool | None = key("only hosts that Vast has verified; `false`: any", True)
    min_disk_gb: Amount | None = key("free disk of the host; by default the template's `disk_gb`", None)


class RegistryLogin(Table):
    """Login to a private registry. The names of local environment variables, never what is in them."""

    server: str = key("`ghcr.io`; empty for Docker Hub", "")
    user_env: Variable = key("name of the variable that holds the user")
    password_env: Variable = key("name of the variable that holds the password or token")


class TemplateSpec(Table):
    """What a worker's container is started with."""

    name: Name = key("by which it is found again in the account")
    image: str = key("`REPO@sha256:...` or `REPO:TAG`; `--image` wins", "")
    mode: Literal["args", "ssh"] = key(
        "`args`: the image's own entry point; `ssh`: Vast's, which then runs `onstart`", "args"
    )
    args: str = key("in place of the image's command; mode `args`", "")
    onstart: Annotated[str, Field(max_length=4048)] = key(f"run in mode `ssh`; empty: `{ONSTART}`", "")
    ports: list[Port] = key("reached from outside; the worker's own has to be among them", [3000])
    disk_gb: Annotated[float, Field(ge=8)] = key("of the container, fixed when it is made: image, models, outputs")
    env: dict[Variable, str] = key("environment of the container; no secrets", {})
    filters: Search = key("a table of bounds as in a group, kept in the template itself", Search())
    registry: RegistryLogin | None = key("a table: login to a private registry", None)


class EndpointSpec(Table):
    """What clients ask for, and how it is scaled. Loads are workload a second (100: 512x512, 20 steps)."""

    name: Name = key("by which clients ask for it")
    state: Literal["active", "suspended", "stopped"] = key(
        "`stopped`: all workers inactive, only disk is paid", "active"
    )
    max_workers: Some = key("most workers of all groups together")
    cold_workers: Count = key("workers that are kept, stopped or running, when there is no load", 1)
    min_load: Amount = key("capacity that is always active; above 0 keeps at least one worker running", 0.0)
    min_cold_load: Amount = key("capacity that is always there, stopped workers included", 0.0)
    target_util: Annotated[float, Field(gt=0, le=1)] = key("active capacity is the expected load divided by this", 0.9)
    cold_mult: Amount = key("whole capacity, stopped workers included, as a multiple of the active one", 2.5)
    max_queue_time: Seconds = key(
        "seconds of work that may wait at one worker; above it the router holds requests back", 30.0
    )
    target_queue_time: Seconds = key("seconds of waiting work above which workers are added quickly", 10.0)
    inactivity_timeout: float = key("idle seconds after which the last worker may stop; below 0: never", 600.0)


class ReadinessRules(Table):
    """When an apply has worked."""

    workers: Some = key("ready workers to wait for", 1)
    limit_s: Seconds = key("longest wait", 1800.0)


class SmokeSpec(Table):
    """A job that is sent through Vast's own client when the workers are ready."""

    template: str = key("of `workflows/`", "smoke-resize")
    params: dict[str, Any] = key("its parameters", {})
    limit_s: Seconds = key("longest wait for its result", 300.0)


class Fleet(Table):
    """The whole file."""

    id: FleetId = key(f"random text in the template's `{MARK}`, which marks what this fleet owns; by `deploy init`")
    template: TemplateSpec = key("a table: what a container is started with")
    endpoint: EndpointSpec = key("a table: what clients ask for")
    groups: Annotated[dict[Name, GroupSpec], Field(min_length=1)] = key("a table each: `[groups.NAME]`")
    environment: list[Variable] = key(
        "names of account variables, which every container gets; values come from the local environment", []
    )
    readiness: ReadinessRules = key("a table: when an apply has worked", ReadinessRules())
    smoke: SmokeSpec | None = key("a table: a job that has to work; left out: none is sent", None)

    @property
    def most_per_hour(self) -> float:
        """Dollars: every worker that is allowed, at the highest price that is allowed. Disk and traffic come on top."""
        left, total = self.endpoint.max_workers, 0.0
        for group in sorted(self.groups.values(), key=lambda group: -group.max_price):
            count = min(left, group.max_workers)
            left, total = left - count, total + count * group.max_price
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
}


def table_at(place: tuple[str, ...]) -> type[Table] | None:
    """The table at a path of keys of the file, as `("groups", "big")`; None for one whose keys are free."""
    known = ".".join("NAME" if place[:1] == ("groups",) and depth == 1 else part for depth, part in enumerate(place))
    return TABLES.get(known)
