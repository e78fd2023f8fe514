"""The jobs of a worker: admitting them, finding them, keeping their rows and their results."""
