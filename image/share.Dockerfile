# Exports an image's own descriptions (bill of materials, catalog of node classes) as files:
# docker buildx build --file image/share.Dockerfile --build-context image=docker-image://REFERENCE --output share image
FROM scratch
COPY --from=image /opt/comfy-worker/share/ /
