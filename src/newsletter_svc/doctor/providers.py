"""Mail providers as the DNS knows them: whose SPF record covers the servers that they send from."""

_INCLUDES = {
    "amazonaws.com": "amazonses.com",
    "brevo.com": "spf.brevo.com",
    "fastmail.com": "spf.messagingengine.com",
    "gmail.com": "_spf.google.com",
    "mailgun.org": "mailgun.org",
    "mailjet.com": "spf.mailjet.com",
    "office365.com": "spf.protection.outlook.com",
    "postmarkapp.com": "spf.mtasv.net",
    "sendgrid.net": "sendgrid.net",
}


def spf_of(mail_server: str) -> str | None:
    """The domain to include for a provider that we know: `amazonses.com`; None for every other mail server."""
    host = mail_server.lower().rstrip(".")
    return next((domain for suffix, domain in _INCLUDES.items() if host.endswith(f".{suffix}")), None)
