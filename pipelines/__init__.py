"""Applications assembled from `streamer`: file, live, report, review, lab and the command line."""
