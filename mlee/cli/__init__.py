"""Command lines: the only place that prints, parses arguments and decides exit codes."""
