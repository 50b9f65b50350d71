"""What there is to read: importing, cleaning and storing articles."""
