"""The application for WSGI servers: `gunicorn wsgi:app`."""

from newsletter_svc.app import create_app

app = create_app()
