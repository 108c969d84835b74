"""Real logs and one's own files into the lake's canonical tables. docs/data.md has schema, commands and limits."""
