"""The configuration of the proxy: `proxy.toml` as types, and its problems with their lines."""
