"""Modal as a platform: a worker that is a child process of `modal_app.py` in a container of a Modal app."""
