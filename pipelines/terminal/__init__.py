"""How a command speaks with the person who ran it: exit codes, signals, progress, tables."""
