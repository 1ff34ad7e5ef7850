"""Result files: writing, reading, merging."""
