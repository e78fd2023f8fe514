"""The jobs of a worker: their admission, index, journal and retention."""
