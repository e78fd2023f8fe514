"""Code that runs in an app's own interpreter. Its modules use only the standard library of Python 3.10 and later."""
