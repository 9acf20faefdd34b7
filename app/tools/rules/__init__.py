"""What the arguments of a tool have to keep to, beside their schema: paths, queries, programs."""
