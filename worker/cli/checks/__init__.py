"""What `comfy-worker doctor` looks at: a family of questions, each answered with findings."""
