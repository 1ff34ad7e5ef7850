"""The tables, figures and labels of the 2022 paper, from its data or from any other results."""
