"""What is owed to whom, what was sent, and what came back. Knows kinds, never features."""
