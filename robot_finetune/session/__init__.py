"""A fine-tuning session: the node graph as processes, its phases, and what is left of it in a folder."""
