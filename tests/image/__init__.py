"""The real Dockerfile, built and run without a registry or a daemon; `make image-test`."""
