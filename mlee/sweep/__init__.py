"""Studies: many runs with one command, each in a process of its own, on one machine or on a cluster."""
