"""A web site of results: plain files that need no server, for GitHub Pages and the supplements of papers."""
