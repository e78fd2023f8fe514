"""README and docs: links lead somewhere, code blocks parse, commands run."""
