"""What gunicorn reads when it is started in this folder; the settings themselves travel inside the package."""

from newsletter_svc.gunicorn_conf import *  # noqa: F403 - gunicorn reads the names of this module.
