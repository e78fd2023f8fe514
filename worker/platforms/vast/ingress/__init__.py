"""The server on Vast's port: checks requests from Vast's router and passes them to the SDK."""
