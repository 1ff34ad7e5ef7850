"""A report of one study as PDF, fit for the appendix of a paper."""
