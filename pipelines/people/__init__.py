"""The commands on a people library: list, correct, name, search, ask, recluster."""
