"""RPCs for stored objects: environments, images, secrets, volumes, mounts and blobs."""

from __future__ import annotations

import base64
import json
import time

from google.protobuf.empty_pb2 import Empty
from google.protobuf.timestamp_pb2 import Timestamp
from modal_proto import api_pb2

from worker.simulators.modal.handles import IMAGE_BUILDER_VERSION
from worker.simulators.modal.records import StoredSecret
from worker.simulators.modal.rpc_service import RpcService, not_found

TOKEN_LIFE_S = 86400.0


class ObjectRpcs(RpcService):
    """Stores objects."""

    async def client_hello(self, _: Empty) -> api_pb2.ClientHelloResponse:
        """Answer the first call of a client."""
        return api_pb2.ClientHelloResponse(image_builder_version=IMAGE_BUILDER_VERSION)

    async def auth_token_get(self, _: api_pb2.AuthTokenGetRequest) -> api_pb2.AuthTokenGetResponse:
        """Return an unsigned token, whose expiry clients read."""
        parts = ({"alg": "none"}, {"exp": int(time.time() + TOKEN_LIFE_S)})
        texts = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts]
        return api_pb2.AuthTokenGetResponse(token=".".join([*texts, "x"]))

    async def environment_get_or_create(
        self, request: api_pb2.EnvironmentGetOrCreateRequest
    ) -> api_pb2.EnvironmentGetOrCreateResponse:
        """Return the one environment, under any name."""
        settings = api_pb2.EnvironmentSettings(image_builder_version=IMAGE_BUILDER_VERSION)
        metadata = api_pb2.EnvironmentMetadata(name=request.deployment_name or "main", settings=settings)
        return api_pb2.EnvironmentGetOrCreateResponse(environment_id="en-local", metadata=metadata)

    async def image_get_or_create(self, request: api_pb2.ImageGetOrCreateRequest) -> api_pb2.ImageGetOrCreateResponse:
        """Store an image without building it. Two equal definitions are one image."""
        known = {image.SerializeToString(deterministic=True): key for key, image in self.state.images.items()}
        image_id = known.get(request.image.SerializeToString(deterministic=True)) or self.state.new_id("im")
        self.state.images[image_id] = request.image
        return api_pb2.ImageGetOrCreateResponse(
            image_id=image_id,
            result=api_pb2.GenericResult(status=api_pb2.GenericResult.GENERIC_STATUS_SUCCESS),
            metadata=api_pb2.ImageMetadata(image_builder_version=request.builder_version),
        )

    async def secret_get_or_create(
        self, request: api_pb2.SecretGetOrCreateRequest
    ) -> api_pb2.SecretGetOrCreateResponse:
        """Return a secret by its name, or create one from its variables."""
        name = request.deployment_name
        if name:
            secret_id = next((key for key, secret in self.state.secrets.items() if secret.name == name), "")
            if not secret_id:
                raise not_found(f"no secret is named {name!r}: start the stand-in with --secret {name}.KEY=VALUE")
        else:
            secret_id = self.state.new_id("st")
            self.state.secrets[secret_id] = StoredSecret("", dict(request.env_dict))
        keys = self.state.secrets[secret_id].variables.keys()
        if missing := set(request.required_keys) - keys:
            raise not_found(f"the secret {name!r} has no {', '.join(sorted(missing))}")
        metadata = api_pb2.SecretMetadata(name=name, keys=sorted(keys))
        return api_pb2.SecretGetOrCreateResponse(secret_id=secret_id, metadata=metadata)

    async def volume_get_or_create(
        self, request: api_pb2.VolumeGetOrCreateRequest
    ) -> api_pb2.VolumeGetOrCreateResponse:
        """Return a volume by its name. It is created if it does not exist."""
        name = request.deployment_name
        volume_id = next((key for key, value in self.state.volumes.items() if value == name), "")
        if not volume_id:
            volume_id = self.state.new_id("vo")
            self.state.volumes[volume_id] = name
        metadata = api_pb2.VolumeMetadata(name=name, version=request.version)
        return api_pb2.VolumeGetOrCreateResponse(volume_id=volume_id, version=request.version, metadata=metadata)

    async def volume_commit(self, _: api_pb2.VolumeCommitRequest) -> api_pb2.VolumeCommitResponse:
        """Accept a commit. Volumes are folders here, so there is nothing to do."""
        return api_pb2.VolumeCommitResponse()

    async def volume_reload(self, _: api_pb2.VolumeReloadRequest) -> Empty:
        """Accept a reload. Volumes are folders here, so there is nothing to do."""
        return Empty()

    async def mount_batched_check_existence(
        self, request: api_pb2.MountBatchedCheckExistenceRequest
    ) -> api_pb2.MountBatchedCheckExistenceResponse:
        """Return which files have to be uploaded."""
        missing = [digest for digest in request.sha256_hex_hashes if digest not in self.state.mount_files]
        now = Timestamp()
        now.GetCurrentTime()
        return api_pb2.MountBatchedCheckExistenceResponse(missing_sha256_hex_hashes=missing, checked_at=now)

    async def mount_put_file(self, request: api_pb2.MountPutFileRequest) -> api_pb2.MountPutFileResponse:
        """Store a file."""
        blob = self.state.blobs.get(request.data_blob_id) if request.data_blob_id else request.data
        if blob is not None:
            self.state.mount_files[request.sha256_hex] = blob
        return api_pb2.MountPutFileResponse(exists=request.sha256_hex in self.state.mount_files)

    async def mount_get_or_create(self, request: api_pb2.MountGetOrCreateRequest) -> api_pb2.MountGetOrCreateResponse:
        """Store the list of files of a mount. Mounts of Modal itself are empty here."""
        mount_id = self.state.new_id("mo")
        self.state.mounts[mount_id] = list(request.files)
        metadata = api_pb2.MountHandleMetadata(content_checksum_sha256_hex=mount_id)
        return api_pb2.MountGetOrCreateResponse(mount_id=mount_id, handle_metadata=metadata)

    async def blob_create(self, _: api_pb2.BlobCreateRequest) -> api_pb2.BlobCreateResponse:
        """Return the URL for one upload."""
        blob_id = self.state.new_id("bl")
        urls = api_pb2.UploadUrlList(items=[f"{self.parts.blob_url}/{blob_id}"])
        return api_pb2.BlobCreateResponse(blob_ids=[blob_id], upload_urls=urls)

    async def blob_get(self, request: api_pb2.BlobGetRequest) -> api_pb2.BlobGetResponse:
        """Return the URL of a stored blob."""
        if request.blob_id not in self.state.blobs:
            raise not_found(f"no blob {request.blob_id}")
        return api_pb2.BlobGetResponse(download_url=f"{self.parts.blob_url}/{request.blob_id}")
