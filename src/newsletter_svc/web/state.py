"""Where views find the parts of the service."""

from typing import cast

from flask import current_app

from newsletter_svc.parts import Parts

EXTENSION = "newsletter"


def parts() -> Parts:
    """The parts of the application that answers this request."""
    return cast(Parts, current_app.extensions[EXTENSION])
