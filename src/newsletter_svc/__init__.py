"""Magic-link sign-in, double opt-in subscriptions and e-mail digests for one publication."""
