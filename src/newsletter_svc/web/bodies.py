"""What a request says: JSON or a form, read into one checked model."""

import contextlib
from collections.abc import Sequence
from typing import Annotated, Any, TypeVar

from flask import request
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import PydanticCustomError
from werkzeug.exceptions import RequestEntityTooLarge

from newsletter_svc.digests import proofs
from newsletter_svc.errors import NewsletterError
from newsletter_svc.subscribers import addresses
from newsletter_svc.subscribers.addresses import Address, BadAddress
from newsletter_svc.words import ReaderError, Saying, shipped

FORM_TYPES = frozenset({"application/x-www-form-urlencoded", "multipart/form-data", ""})
LISTS = frozenset({"newsletters", "addresses", "frequencies"})
"""The fields of which a form may have several."""
FLAGS = frozenset({"confirmed"})
"""Those that are true or false, which a form says in words."""
_NUMBERS = frozenset({"send_hour", "pause_weeks"})
_EMPTY_IS_NULL = _NUMBERS | {"timezone", "language"}
MAX_NAME = 200
_HEARD_OUT = 1_000_000
"""Octets that are read of a body for the answer's sake alone."""
_BLOCK = 64 * 1024


class BadFields(NewsletterError):
    """One or more fields are wrong; `errors` has a name and the reason for each, in words where only operators ask."""

    def __init__(self, errors: Sequence[tuple[str, Saying | str]]) -> None:
        super().__init__(", ".join(field for field, _ in errors))
        self.errors = tuple(errors)


class BadBody(ReaderError):
    """What was sent is JSON, but not of the form that a body has."""


class WrongKind(ReaderError):
    """What was sent is neither JSON nor an HTML form."""

    def __init__(self) -> None:
        super().__init__("problems.wrong_kind")


def _clean_name(name: str) -> str:
    if any(ord(character) < 32 or 127 <= ord(character) < 160 for character in name):
        raise PydanticCustomError("control_characters", "control characters")
    # Marks that turn or hide text are taken out: in a greeting they would change what stands around the name.
    return "".join(character for character in name if character.isprintable()).strip()


Name = Annotated[str, Field(max_length=MAX_NAME), AfterValidator(_clean_name)]
Slug = Annotated[str, Field(max_length=63)]
Text = Annotated[str, Field(max_length=64)]
CONFIG = ConfigDict(strict=True, extra="ignore", use_attribute_docstrings=True)


class Asking(BaseModel):
    """The body of `/subscribe`, `/signup` and `/signin`. Fields that we do not know are left alone."""

    model_config = CONFIG

    email: Annotated[str, Field(json_schema_extra={"format": "email"})]
    """One plain address, `local@domain`."""
    name: Name | None = None
    """How to address the reader."""
    newsletters: Annotated[list[Slug], Field(max_length=50)] | None = None
    """Slugs; none named means the default newsletter at `/subscribe`, and none elsewhere."""
    redirect: str | None = None
    """Where to go on afterwards: a path on the frontend, or an address on one of its origins."""
    website: str | None = None
    """The honeypot: people do not see it, programs that fill in everything do."""

    @property
    def address(self) -> Address:
        return _address(self.email)


class NewAddress(BaseModel):
    """The body of `POST /me/email`."""

    model_config = CONFIG

    email: Annotated[str, Field(json_schema_extra={"format": "email"})]
    """Where the reader wants to be from now on: one plain address, `local@domain`."""

    @property
    def address(self) -> Address:
        return _address(self.email)


class Choices(BaseModel):
    """The body of `/preferences/...`. What is left out stays as it is; null leaves it to the newsletter again."""

    model_config = CONFIG

    newsletters: Annotated[list[Slug], Field(max_length=50)] | None = None
    """Slugs of all that the reader wants to get from now on; an empty list leaves every newsletter."""
    frequencies: Annotated[dict[Slug, Text | None], Field(max_length=50)] | None = None
    """`daily` or `weekly` for the slug of a newsletter, as far as it offers them."""
    send_hour: int | None = None
    """Local hour at which issues are to come, 0 to 23."""
    timezone: Text | None = None
    """Such as `Europe/London`."""
    language: Text | None = None
    """Such as `en-GB`."""
    pause_weeks: int | None = None
    """So many weeks without any issue, from now on; 0 ends a pause."""

    @classmethod
    def of_form(cls, texts: dict[str, Any]) -> dict[str, Any]:
        """What a form's texts mean: an empty one is null, and a frequency is written `briefing=weekly`."""
        values = {**texts, **{name: texts[name] or None for name in _EMPTY_IS_NULL & texts.keys()}}
        for name in _NUMBERS & texts.keys():
            values[name] = int(texts[name]) if _is_number(texts[name]) else values[name]
        if "frequencies" in texts:
            pairs = (each.partition("=") for each in texts["frequencies"])
            values["frequencies"] = {slug: frequency or None for slug, _, frequency in pairs}
        return values


class Changes(Choices):
    """The body of `PATCH /me`. What is left out stays as it is; null leaves it to the newsletter again."""

    email: Annotated[str, Field(json_schema_extra={"format": "email"})] | None = None
    """A new address; it takes effect when the link that is sent there is used."""
    name: Name | None = None
    """How to address the reader."""

    @property
    def address(self) -> Address | None:
        return None if self.email is None else _address(self.email)


def _address(raw: str) -> Address:
    """Raises BadFields."""
    try:
        return addresses.parse(raw)
    except BadAddress as error:
        raise BadFields([("email", error.saying)]) from error


class OneTimeCode(BaseModel):
    """The body of `/signin/code`."""

    model_config = CONFIG

    challenge: Annotated[str, Field(max_length=200)]
    """What the door answered with when it was asked for the mail."""
    code: Annotated[str, Field(max_length=20)]
    """Six digits from the mail."""


class BillingPress(BaseModel):
    """The body of `/billing/update`; it may be empty."""

    model_config = CONFIG

    redirect: str | None = None
    """Where to go on afterwards: a path on the frontend, or an address on one of its origins."""


class Testing(BaseModel):
    """The body of `/api/digests/.../test`."""

    model_config = CONFIG

    addresses: Annotated[list[str], Field(min_length=1, max_length=proofs.MOST)]
    """Where the copies go."""

    @property
    def checked(self) -> list[Address]:
        """Each address once. Raises BadFields."""
        errors, found = [], {}
        for place, raw in enumerate(self.addresses):
            try:
                address = addresses.parse(raw)
                found[address.key] = address
            except BadAddress as error:
                errors.append((f"addresses.{place}", error.saying))
        if errors:
            raise BadFields(errors)
        return list(found.values())


_MOST_DIGITS = 9
"""Of a number that a form can mean; longer ones are refused as text."""
M = TypeVar("M", bound=BaseModel)
_FAULTS = frozenset(shipped().section("fields"))
"""Those of pydantic's names for what is wrong that have a sentence; the others share one."""


def read(model: type[M]) -> M:
    """The request's body as `model`. Raises BadFields, or what makes 400, 413 and 415."""
    whole()
    values = _json() if request.is_json else _form(model)
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise BadFields([(_field(each["loc"]), _saying(each["type"])) for each in error.errors()]) from None


def whole() -> bytes:
    """The body. Raises RequestEntityTooLarge, for chunks too, the reading of which ends at the limit without a word."""
    try:
        data = request.get_data()
        if request.content_length is None and request.stream.read(1):
            raise RequestEntityTooLarge
    except RequestEntityTooLarge:
        _hear_out()
        raise
    return data


def _hear_out() -> None:
    """Take in the rest of a body that is a little too large: else the reset that ends it may overtake the answer."""
    left = _HEARD_OUT if (request.content_length or 0) <= _HEARD_OUT else 0
    with contextlib.suppress(OSError):  # The caller has gone, or its chunks are broken.
        while left > 0 and (block := request.environ["wsgi.input"].read(min(_BLOCK, left))):
            left -= len(block)


def _json() -> dict[str, Any]:
    try:
        body = request.get_json()
    except RecursionError:
        raise BadBody("problems.nested_too_deeply") from None
    if not isinstance(body, dict):
        raise BadBody("problems.not_an_object")
    return body


def _form(model: type[BaseModel]) -> dict[str, Any]:
    if request.mimetype not in FORM_TYPES:
        raise WrongKind
    known: dict[str, Any] = {name: request.form[name] for name in model.model_fields if name in request.form}
    for name in FLAGS & known.keys():
        known[name] = {"true": True, "false": False}.get(known[name], known[name])
    for name in LISTS & known.keys():
        known[name] = [each for each in request.form.getlist(name) if each]
    return model.of_form(known) if issubclass(model, Choices) else known


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= _MOST_DIGITS


def _field(location: tuple[int | str, ...]) -> str:
    return ".".join(str(part) for part in location)


def _saying(fault: str) -> Saying:
    return Saying(f"fields.{fault}" if fault in _FAULTS else "fields.invalid")
