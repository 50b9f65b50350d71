"""Every module that holds tables, imported for its effect on the metadata."""

import newsletter_svc.alerts
import newsletter_svc.articles.models
import newsletter_svc.audit
import newsletter_svc.auth.models
import newsletter_svc.billing.models
import newsletter_svc.delivery.models
import newsletter_svc.delivery.pace
import newsletter_svc.digests.models
import newsletter_svc.limits.counters
import newsletter_svc.subscribers.models  # noqa: F401
