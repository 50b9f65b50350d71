"""What the process from which commands are forked has done before: what each of them would do alike at its start."""

from babel import Locale
from sqlalchemy.orm import configure_mappers

from newsletter_svc import app
from newsletter_svc.mail.bulk import driver
from newsletter_svc.settings import Settings

__all__ = ["app"]

configure_mappers()
driver.prepare()
_ = Locale.parse(Settings.language, sep="-").text_direction
