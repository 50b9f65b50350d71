"""A stand-in for Stripe: enough of its API, its payment page and its events to show billing without money."""

import os

if os.environ.get("NEWSLETTER_ENV") == "production":
    raise ImportError("The stand-in for Stripe is not for production.")
