"""The loop between a model and its tools, and what it is given to work with."""
