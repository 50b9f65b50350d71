"""Making and carrying a message; knows no database and no subscribers."""
