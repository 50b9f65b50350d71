"""HTTP and nothing else: one file for each feature."""
