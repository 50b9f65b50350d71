"""What Amazon SES tells through SNS: signed by Amazon, for a topic of ours, and nothing fetched from elsewhere."""

import json
from base64 import b64encode
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import TestResponse

from newsletter_svc.clock import utcnow
from newsletter_svc.db import Database
from newsletter_svc.delivery.models import Bounce, Suppression
from newsletter_svc.delivery.providers import ses
from newsletter_svc.delivery.providers.fetching import NotFetched
from newsletter_svc.settings import Settings
from newsletter_svc.web import webhooks
from newsletter_svc.webhook_keys import problems

TOPIC = "arn:aws:sns:eu-west-1:123456789012:bounces"
CERTIFICATE = "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-0123456789abcdef.pem"
KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
STRANGER = rsa.generate_private_key(public_exponent=65537, key_size=2048)
SIGNED = ("Message", "MessageId", "SubscribeURL", "Subject", "Timestamp", "Token", "TopicArn", "Type")


def certificate(*, age: timedelta = timedelta(days=1)) -> bytes:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "sns.amazonaws.com")])
    began = utcnow() - age
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(KEY.public_key())
    builder = builder.serial_number(1).not_valid_before(began).not_valid_after(began + timedelta(days=30))
    return builder.sign(KEY, SHA256()).public_bytes(Encoding.PEM)


@dataclass
class Amazon:
    """Amazon's servers: what they were asked for, and what they answer."""

    pem: bytes = field(default_factory=certificate)
    is_there: bool = True
    asked: list[str] = field(default_factory=list)

    def fetch(self, url: str) -> bytes:
        self.asked.append(url)
        if not self.is_there:
            raise NotFetched("the provider does not answer")
        return self.pem if url.endswith(".pem") else b"<ConfirmSubscriptionResponse/>"


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return replace(settings, ses_topics=("arn:aws:sns:eu-west-1:123456789012:other", TOPIC))


@pytest.fixture
def amazon(monkeypatch: pytest.MonkeyPatch) -> Amazon:
    amazon = Amazon()
    # Certificates are cached for each way of fetching them, so this test shares none with the others.
    known = replace(webhooks.PROVIDERS["ses"], read=partial(ses.read, fetch=amazon.fetch))
    monkeypatch.setitem(webhooks.PROVIDERS, "ses", known)
    return amazon


def notification(message: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "Type": "Notification",
        "MessageId": "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324",
        "TopicArn": TOPIC,
        "Subject": "Amazon SES Email Event Notification",
        "Message": json.dumps(message),
        "Timestamp": "2026-11-24T07:00:00.000Z",
        "SignatureVersion": "2",
        "SigningCertURL": CERTIFICATE,
        **more,
    }


def send(client: FlaskClient, told: dict[str, Any], *, key: rsa.RSAPrivateKey = KEY, **after: Any) -> TestResponse:
    """Sign and send as SNS does: JSON that calls itself text. What is in `after` was changed on the way."""
    lines = "".join(f"{name}\n{told[name]}\n" for name in SIGNED if told.get(name) is not None)
    digest = SHA1() if told["SignatureVersion"] == "1" else SHA256()
    signature = b64encode(key.sign(lines.encode(), PKCS1v15(), digest)).decode()
    body = json.dumps({**told, "Signature": signature, **after})
    return client.post("/webhooks/mail/ses", data=body, content_type="text/plain; charset=UTF-8")


def bounce(*, kind: str = "Permanent", sub: str = "General", **recipient: Any) -> dict[str, Any]:
    first = {"emailAddress": "Ada@example.org", "action": "failed", "status": "5.1.1", **recipient}
    return {
        "notificationType": "Bounce",
        "bounce": {
            "bounceType": kind,
            "bounceSubType": sub,
            "feedbackId": "0102015a-0000",
            "timestamp": "2026-11-24T06:59:58.000Z",
            "bouncedRecipients": [{name: value for name, value in first.items() if value is not None}],
        },
        "mail": {"messageId": "0102015a-1111"},
    }


def complaint(kind: str | None = "abuse") -> dict[str, Any]:
    return {
        "eventType": "Complaint",
        "complaint": {
            "feedbackId": "0102015a-2222",
            "complaintFeedbackType": kind,
            "timestamp": "2026-11-24T06:59:58.000Z",
            "complainedRecipients": [{"emailAddress": "ada@example.org"}],
        },
        "mail": {"messageId": "0102015a-1111"},
    }


def suppressed(database: Database) -> dict[str, str]:
    with database.reading() as session:
        return {row.email_key: row.reason for row in session.scalars(select(Suppression))}


def kinds(database: Database) -> list[str]:
    with database.reading() as session:
        return [row.kind.value for row in session.scalars(select(Bounce).order_by(Bounce.id))]


def taken(response: TestResponse) -> int:
    assert response.status_code == 200, response.text
    count: int = response.get_json()["taken"]
    return count


@pytest.mark.parametrize("version", ["1", "2"])
def test_a_hard_bounce_suppresses_once_and_the_certificate_is_fetched_once(
    client: FlaskClient, database: Database, amazon: Amazon, version: str
) -> None:
    for _ in range(2):
        assert taken(send(client, notification(bounce(), SignatureVersion=version))) == 1
    assert suppressed(database) == {"ada@example.org": "hard_bounce 5.1.1"}
    assert kinds(database) == ["hard"]
    assert amazon.asked == [CERTIFICATE]


@pytest.mark.parametrize("kind", ["abuse", "fraud", None])
def test_a_complaint_suppresses(client: FlaskClient, database: Database, amazon: Amazon, kind: str | None) -> None:
    assert taken(send(client, notification(complaint(kind), Subject=None))) == 1
    assert suppressed(database) == {"ada@example.org": "complaint"}


@pytest.mark.parametrize(
    ("message", "found"),
    [
        (bounce(kind="Transient", sub="MailboxFull", status="4.2.2"), ["soft"]),
        (bounce(status=None, action=None, sub="NoEmail"), ["hard"]),
        (bounce(status="5.0.0", diagnosticCode="smtp; 552 5.2.2 full"), ["soft"]),
        (bounce(kind="Transient", action=None, status=None), []),
        (bounce(kind="Transient", sub="MessageTooLarge"), []),
        (bounce(kind="Undetermined"), []),
        (bounce(status="5.7.1"), []),
        (bounce(emailAddress=None), []),
        (complaint("not-spam"), []),
        ({"notificationType": "Delivery"}, []),
        ({"eventType": "Bounce", "bounce": {"bounceType": "Permanent", "bouncedRecipients": "none"}}, []),
        ({}, []),
    ],
)
def test_the_code_and_the_action_count_and_what_is_no_bounce_is_answered_well(
    client: FlaskClient, database: Database, amazon: Amazon, message: dict[str, Any], found: list[str]
) -> None:
    assert taken(send(client, notification(message))) == len(found)
    assert kinds(database) == found


def test_every_recipient_of_a_bounce_is_an_event(client: FlaskClient, database: Database, amazon: Amazon) -> None:
    message = bounce()
    message["bounce"]["bouncedRecipients"].append({"emailAddress": "bob@example.org", "status": "5.1.1"})
    assert taken(send(client, notification(message))) == 2
    assert set(suppressed(database)) == {"ada@example.org", "bob@example.org"}


def test_without_amazons_signature_nothing_is_taken(client: FlaskClient, database: Database, amazon: Amazon) -> None:
    told = notification(bounce())
    refusals = [
        send(client, told, key=STRANGER),
        send(client, told, Message=json.dumps(bounce(emailAddress="eve@example.org"))),
        send(client, told, Signature="no base64!"),
        send(client, told, Signature=None),
        send(client, told, SignatureVersion="3"),
        send(client, told, Type="Something"),
        client.post("/webhooks/mail/ses", json=bounce()),
    ]
    assert [answer.status_code for answer in refusals] == [401] * 7
    assert kinds(database) == []


@pytest.mark.parametrize(
    "address",
    [
        "http://sns.eu-west-1.amazonaws.com/a.pem",
        "https://sns.eu-west-1.amazonaws.com.evil.example/a.pem",
        "https://evil.example/sns.eu-west-1.amazonaws.com/a.pem",
        "https://sns.eu-west-1.amazonaws.com@evil.example/a.pem",
        "https://sns.eu-west-1.amazonaws.com:8443/a.pem",
        "https://sns.us-east-1.amazonaws.com/a.pem",
        "https://bucket.s3.amazonaws.com/a.pem",
        "https://sns.eu-west-1.amazonaws.com/a.pem?to=https://evil.example",
        "https://sns.eu-west-1.amazonaws.com/a.txt",
        "file:///etc/passwd.pem",
        7,
    ],
)
def test_a_certificate_is_fetched_only_from_amazon_in_the_topics_region(
    client: FlaskClient, amazon: Amazon, address: object
) -> None:
    assert send(client, notification(bounce(), SigningCertURL=address)).status_code == 401
    assert amazon.asked == []


def test_nothing_is_fetched_for_a_topic_that_is_not_ours(client: FlaskClient, amazon: Amazon) -> None:
    for topic in ("arn:aws:sns:eu-west-1:999999999999:bounces", "", f"{TOPIC},", None):
        assert send(client, notification(bounce(), TopicArn=topic)).status_code == 401
    assert amazon.asked == []


def test_a_certificate_that_is_over_or_no_certificate_proves_nothing(client: FlaskClient, amazon: Amazon) -> None:
    for number, pem in enumerate((certificate(age=timedelta(days=31)), certificate(age=-timedelta(days=1)), b"none")):
        amazon.pem = pem
        address = CERTIFICATE.replace("0123", str(number))
        assert send(client, notification(bounce(), SigningCertURL=address)).status_code == 401


def test_while_amazon_does_not_answer_its_events_are_put_off(
    client: FlaskClient, database: Database, amazon: Amazon
) -> None:
    amazon.is_there = False
    answer = send(client, notification(bounce()))
    assert (answer.status_code, int(answer.headers["Retry-After"]) > 0) == (503, True)

    amazon.is_there = True
    assert taken(send(client, notification(bounce()))) == 1


def subscription(**more: Any) -> dict[str, Any]:
    token = {"Type": "SubscriptionConfirmation", "Token": "a&b=c", "SubscribeURL": "https://evil.example/"}
    return notification({}, Subject=None, **token, **more)


def test_a_subscription_is_confirmed_at_an_address_of_our_own_making(client: FlaskClient, amazon: Amazon) -> None:
    assert taken(send(client, subscription())) == 0

    first, confirmed = amazon.asked
    assert first == CERTIFICATE
    assert confirmed.startswith("https://sns.eu-west-1.amazonaws.com/?")
    query = parse_qs(urlsplit(confirmed).query)
    assert query == {"Action": ["ConfirmSubscription"], "TopicArn": [TOPIC], "Token": ["a&b=c"]}


def test_a_subscription_that_amazon_did_not_sign_is_not_confirmed(client: FlaskClient, amazon: Amazon) -> None:
    assert send(client, subscription(), key=STRANGER).status_code == 401
    assert amazon.asked == [CERTIFICATE]


def test_what_is_no_topic_is_named_at_the_start() -> None:
    good = (TOPIC, "arn:aws-cn:sns:cn-north-1:123456789012:b.fifo")
    assert list(problems(postmark_auth=None, sendgrid_key=None, ses_topics=good)) == []
    (problem,) = problems(postmark_auth=None, sendgrid_key=None, ses_topics=("arn:aws:sqs:eu-west-1:123456789012:b",))
    assert problem.startswith("SES_TOPICS")
