"""Whether mail of this deployment will be believed and its links work: one module for each thing that is looked at."""
