"""Rating: metrics, table, index, classes, compound."""
