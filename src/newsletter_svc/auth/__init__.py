"""Proving an address: magic links, one-time codes, sessions; and the keys of operators' programs."""
