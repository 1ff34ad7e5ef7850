"""mlee: how much energy a machine-learning model takes, measured and shown so that anyone can compare."""

__version__ = "0.1.0"
