"""`whowhen watch`: cameras into events, recordings, sinks and the live page."""
