# ComfyUI with pinned node packs, and the worker. docs/image.md describes the layers, their sizes and every argument.
# It uses only features that Docker and Buildah share: no syntax line, no heredoc, no --link, no --exclude.

# Torch's wheels contain CUDA's libraries, so the small NVIDIA image is enough. The driver has to support CUDA 13.0.
ARG BASE_IMAGE=docker.io/nvidia/cuda:13.0.1-base-ubuntu24.04@sha256:f8ef28f579ea42a44b415d2c5d46f788e6a9b395c6c83f2929416e1fc192c143

# To take ComfyUI and packs from a folder instead of git: --build-context sources=FOLDER, with FOLDER/ComfyUI ...
FROM scratch AS sources


FROM ${BASE_IMAGE} AS base
ARG PYTHON=python3.12
# hadolint ignore=DL3008
RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
        ca-certificates "${PYTHON}" tini \
    && rm -rf /var/lib/apt/lists/* /var/log/apt /var/log/dpkg.log /var/cache/ldconfig/aux-cache


FROM base AS builder
ARG PYTHON
# Some requirements of packs have no wheels.
ARG BUILD_PACKAGES="build-essential git"
WORKDIR /build
# hadolint ignore=DL3008,SC2086
RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
        "${PYTHON}-dev" "${PYTHON}-venv" ${BUILD_PACKAGES} \
    && rm -rf /var/lib/apt/lists/* \
    && "${PYTHON}" -P -m venv tools
ENV PYTHON=${PYTHON} PATH=/build/tools/bin:$PATH \
    PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore


# Torch and CUDA's libraries are most of the image. They are in a layer that packs and worker do not change.
FROM builder AS torch
ARG TORCH="--require-hashes --requirement locks/torch.lock"
COPY locks/torch.lock locks/none.lock locks/
# hadolint ignore=DL3013,SC2086
RUN "${PYTHON}" -P -m venv --without-pip /opt/torch \
    && pip --python /opt/torch/bin/python install --quiet --no-deps ${TORCH}


FROM builder AS requirements
ARG PACK_GROUPS=base
ARG REQUIREMENTS="--require-hashes --requirement locks/comfyui.lock"
COPY locks/comfyui*.lock locks/none.lock locks/
# hadolint ignore=DL3013,SC2086
RUN "${PYTHON}" -P -m venv --without-pip /opt/ComfyUI/.venv \
    && for group in ${PACK_GROUPS}; do \
        [ "${group}" = base ] || set -- "$@" --requirement "locks/comfyui-${group}.lock"; \
    done \
    && pip --python /opt/ComfyUI/.venv/bin/python install --quiet --no-deps ${REQUIREMENTS} "$@" \
    && echo "/opt/torch/lib/${PYTHON}/site-packages" > "/opt/ComfyUI/.venv/lib/${PYTHON}/site-packages/torch.pth"


FROM builder AS comfyui
ARG PACK_GROUPS=base
COPY --from=sources / sources/
COPY comfyui_nodes.txt ./
COPY worker/node_packs/pins.py worker/node_packs/sources.py worker/node_packs/
RUN PYTHONPATH=/build python -P -m worker.node_packs.sources --pins comfyui_nodes.txt --groups "${PACK_GROUPS}" --sources sources \
        --to /opt/ComfyUI --state /var/lib/comfy-worker \
    && python -P -m compileall -q /opt/ComfyUI


# The worker's packages. The import checks that Vast's SDK works with this Python, because it would else be None later.
FROM builder AS worker-environment
COPY locks/worker.lock locks/
RUN "${PYTHON}" -P -m venv --without-pip /opt/comfy-worker/env \
    && pip --python /opt/comfy-worker/env/bin/python install --quiet --no-deps \
        --require-hashes --requirement locks/worker.lock \
    && echo "/opt/comfy-worker/lib/${PYTHON}/site-packages" \
        > "/opt/comfy-worker/env/lib/${PYTHON}/site-packages/worker.pth" \
    && /opt/comfy-worker/env/bin/python -P -c "import vastai.serverless.server.worker"


FROM worker-environment AS worker
COPY pyproject.toml setup.py README.md LICENSE ./
COPY workflows/ workflows/
COPY examples/modal/ examples/modal/
COPY worker/ worker/
RUN pip --python /opt/comfy-worker/env/bin/python install --quiet --no-deps --no-build-isolation \
        --prefix /opt/comfy-worker .


# The models of the templates in MODELS, or an empty folder.
FROM worker AS models
ARG MODELS=
# hadolint ignore=DL3013,SC2086
RUN mkdir /models \
    && if [ -n "${MODELS}" ]; then /opt/comfy-worker/bin/comfy-worker models fetch ${MODELS} --folder /models; fi


FROM base AS runtime
# The SDK's paths of the certificate are fixed, so they are links into the one writable folder.
RUN groupadd --gid 10001 worker \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /var/lib/comfy-worker --shell /usr/sbin/nologin worker \
    && install -d -o worker -g worker -m 0750 /var/lib/comfy-worker /var/lib/comfy-worker/tls \
    && ln -s /var/lib/comfy-worker/tls/instance.crt /var/lib/comfy-worker/tls/instance.key /etc/
COPY --from=torch /opt/torch /opt/torch
COPY --from=requirements /opt/ComfyUI/.venv /opt/ComfyUI/.venv
COPY --from=comfyui /opt/ComfyUI /opt/ComfyUI
COPY --from=models /models /opt/ComfyUI/models
COPY --from=worker-environment /opt/comfy-worker/env /opt/comfy-worker/env
COPY --from=worker /opt/comfy-worker/bin /opt/comfy-worker/bin
COPY --from=worker /opt/comfy-worker/lib /opt/comfy-worker/lib
# PYTHONSAFEPATH keeps a Python that is started by hand here from importing files of the state folder.
# NVIDIA's images set the last two variables; other bases do not.
ENV PATH=/opt/comfy-worker/bin:$PATH \
    PYTHONSAFEPATH=1 \
    WORKER_PLATFORM=auto \
    WORKER_RESTARTS=5 \
    WORKER_COMFYUI=/opt/ComfyUI \
    WORKER_STATE=/var/lib/comfy-worker \
    NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility
WORKDIR /var/lib/comfy-worker
USER 10001:10001


# The build fails here unless ComfyUI imports every pack and accepts every template whose packs are installed.
FROM runtime AS verify
COPY comfyui_nodes.txt /opt/comfy-worker/
RUN comfy-worker verify-image --pins /opt/comfy-worker/comfyui_nodes.txt --object-info /tmp/object_info.json.gz


FROM builder AS sbom-tools
COPY locks/sbom.lock locks/
RUN "${PYTHON}" -P -m venv --without-pip /opt/sbom \
    && pip --python /opt/sbom/bin/python install --quiet --no-deps --require-hashes --requirement locks/sbom.lock


FROM runtime AS sbom
COPY --from=sbom-tools /opt/sbom /opt/sbom
COPY image/sbom.py /opt/sbom/
RUN /opt/sbom/bin/python /opt/sbom/sbom.py > /tmp/sbom.cdx.json


FROM runtime
ARG RUN_AS=10001:10001
ARG BASE_IMAGE
ARG VERSION=0
ARG REVISION=unknown
# Buildah's cache compares build arguments only for RUN. The RUN below keeps it from using a stale label or user.
USER 0
RUN mkdir /opt/comfy-worker/share \
    && printf '%s\n' "version ${VERSION}" "revision ${REVISION}" "base ${BASE_IMAGE}" "user ${RUN_AS}" \
        > /opt/comfy-worker/share/build.txt
COPY --from=sbom /tmp/sbom.cdx.json /opt/comfy-worker/share/
COPY --from=verify /tmp/object_info.json.gz /opt/comfy-worker/share/
LABEL org.opencontainers.image.title="comfy-worker" \
      org.opencontainers.image.description="ComfyUI with pinned node packs behind a dependable worker" \
      org.opencontainers.image.licenses="MIT AND GPL-3.0-only" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.base.name="${BASE_IMAGE}"
# A stored benchmark score is only valid for the same WORKER_IMAGE.
ENV WORKER_IMAGE=${REVISION} \
    WORKER_CATALOG=/opt/comfy-worker/share/object_info.json.gz
# In Vast's launch mode ssh, the platform's own setup replaces the entry point and runs as this user: use RUN_AS=root.
USER ${RUN_AS}
EXPOSE 3000
HEALTHCHECK --interval=10s --timeout=5s --start-period=10m CMD ["comfy-worker", "health"]
ENTRYPOINT ["/usr/bin/tini", "--", "/opt/comfy-worker/bin/comfy-worker"]
CMD ["serve"]
