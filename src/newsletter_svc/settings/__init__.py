"""Settings: the environment, read once at start into a typed and frozen object, with every problem named at once."""

from newsletter_svc.settings.model import DATABASE_STORAGE, Settings
from newsletter_svc.settings.reading import SettingsError, load
from newsletter_svc.settings.rules import is_loopback

__all__ = ["DATABASE_STORAGE", "Settings", "SettingsError", "is_loopback", "load"]
