"""What the `rommeo` command does, one module a subcommand."""
