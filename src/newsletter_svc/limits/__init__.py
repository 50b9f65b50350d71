"""How often one may ask: counters, whose they are, and what each limit protects."""
