"""What can go wrong around payment details. None of these quotes Stripe's own words: they may name cards and keys."""

from newsletter_svc.errors import NewsletterError
from newsletter_svc.words import ReaderError


class BillingOff(ReaderError):
    """A setting is missing without which there is no billing; `setting` names it."""

    def __init__(self, setting: str) -> None:
        super().__init__("problems.billing_off", setting=setting)
        self.setting = setting


class NoCustomer(ReaderError):
    """This reader is no customer at Stripe, or none any more."""


class TooManyPresses(ReaderError):
    """One reader asks for payment pages as no person does. `retry_after` is in seconds."""

    def __init__(self, retry_after: int) -> None:
        super().__init__("problems.too_many_presses")
        self.retry_after = retry_after


class CustomerTaken(NewsletterError):
    """The customer belongs to another subscriber already."""


class BadEvent(ReaderError):
    """The body of an event is not what Stripe sends, or was not signed by who shares our secret."""

    def __init__(self, private_reason: str) -> None:
        super().__init__("problems.bad_event")
        self.private_reason = private_reason


class StripeUnavailable(NewsletterError):
    """Stripe is down, slow or busy. Nothing that was asked for has to be assumed; asking again is right."""


class StripeRefused(NewsletterError):
    """Stripe does not let us do this: the key, its rights or the account are not right. A person has to mend it."""


class NotAtStripe(NewsletterError):
    """Stripe has no such object under this key."""
