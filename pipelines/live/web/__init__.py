"""The live page of `whowhen watch --serve`: who is here now, on this machine only unless told otherwise."""
