"""The desired state of an account as complete request bodies for Vast's API."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from worker.fleet.definition.fleet import MARK, ONSTART, Fleet, GroupSpec
from worker.fleet.definition.image import read_image
from worker.fleet.plan.versions import description
from worker.fleet.vast.offer import filters, search_text

Body = dict[str, Any]

GPU_RAM = 24.0
"""Vast's own default for the estimate that goes with a search."""


def template_body(fleet: Fleet, previous: str = "", earlier: Sequence[str] = ()) -> Body:
    """Return the body of the fleet's template, without the login.

    `previous` is the hash of the version that this one replaces, and `earlier` are the hashes before it. Both are
    written into the description, so that the account itself records the fleet's hashes and the one to roll back to.
    """
    template, image = fleet.template, read_image(fleet.template.image)
    ssh = template.mode == "ssh"
    options = [f"-p {port}:{port}" for port in template.ports]
    options += [f"-e {name}={value}" for name, value in {MARK: fleet.id, **template.env}.items()]
    return {
        **{"name": template.name, "image": image.name, "tag": image.tag, "env": " ".join(options)},
        **{"runtype": template.mode, "use_ssh": ssh, "ssh_direct": ssh, "jup_direct": False, "use_jupyter_lab": False},
        "args_str": template.args,
        "onstart": (template.onstart or ONSTART) if ssh else "",
        "docker_login_repo": template.registry.server if template.registry else "",
        "extra_filters": filters(template.filters),
        "recommended_disk_space": template.disk_gb,
        "desc": description(previous, earlier),
        **{"readme_visible": False, "private": True},
    }


def endpoint_body(fleet: Fleet) -> Body:
    """Return the body of the endpoint with every parameter, because the defaults differ between Vast's own tools."""
    endpoint = fleet.endpoint
    names = (
        *("min_load", "min_cold_load", "target_util", "cold_mult", "cold_workers", "max_workers"),
        *("max_queue_time", "target_queue_time", "inactivity_timeout"),
    )
    return {"endpoint_name": endpoint.name, **{name: getattr(endpoint, name) for name in names}}


def group_body(fleet: Fleet, group: GroupSpec, template_hash: str) -> Body:
    """Return the body of a group, with the hash of the template that its workers run."""
    return {
        "template_hash": template_hash,
        "search_params": search_text(group, fleet.template.disk_gb),
        "gpu_ram": group.min_vram_gb or GPU_RAM,
        "max_workers": group.max_workers,
    }
