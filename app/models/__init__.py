"""How a model is called: one protocol, the models of a process with their prices and options."""
