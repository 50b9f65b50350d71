"""The root of the service's errors. Each error class stands beside the code that raises it.

    NewsletterError
    ├── words.ReaderError               the root of those of which a reader is told by the name of a sentence
    ├── words.BadWords                  an operator's own sentences that cannot take the place of ours
    ├── settings.SettingsError          the environment does not describe a service that can start
    ├── bounce_mailboxes.BadMailbox     an address that names no mailbox
    ├── dkim_keys.UnusableKey           a private key that cannot sign mail that others accept
    ├── tokens.BadToken                 a token that is not ours, not for this, or broken
    ├── subscribers.addresses.BadAddress an address that we do not write to
    ├── subscribers.choices.BadChoice, NotSubscribed
    ├── subscribers.csv_file.BrokenFile a list that cannot be read
    ├── subscribers.erased.KeyLost      what knows erased addresses again cannot be opened
    ├── subscribers.newsletters.UnknownNewsletter, BadNewsletter
    ├── auth.adding.NotAdded            a reader whom an operator cannot add, or must not
    ├── auth.address_changes.AddressTaken
    ├── auth.address_links.ChangeGone   the link of a change of address that no longer works
    ├── auth.redeeming.LinkGone         a magic link or code that no longer works
    ├── auth.api_keys.BadApiKey, BadScope, MissingScope
    ├── billing.failures.BillingOff, NoCustomer, TooManyPresses, CustomerTaken, BadEvent
    ├── billing.failures.StripeUnavailable, StripeRefused, NotAtStripe
    ├── limits.limiter.OverLimit        too often: PeerOverLimit, ServiceOverLimit, CodesLocked
    ├── digests.calendar.BadSchedule
    ├── digests.rendering.NothingRenders  every article of an issue is broken, or its template is
    ├── digests.letter.UnknownDigest    no issue with this number
    ├── mail.fetching.MailboxTrouble    a mailbox that cannot be read, or not any further
    ├── mail.message.UnsendableMessage  no correct mail can be made of these values
    ├── mail.bulk.signing.SigningFailed the processes that sign mail are gone
    ├── mail.slots.LostSlot             a personal part of a digest that is printed nowhere or has no value
    ├── mail.transport.NoMailServer
    ├── mail.failures.DeliveryError     why a mail was not accepted; the tree of reasons stands in that module
    ├── delivery.providers.calls.Unsigned, Unreadable
    │                                   a webhook that its provider did not sign, or that says nothing we know
    ├── delivery.providers.fetching.NotFetched  a provider that does not answer
    ├── doctor.lookups.NotAnswered      a nameserver that does not say
    ├── doctor.spf.BrokenPolicy, doctor.spf_terms.BadTerm
    ├── web.api_subscribers.NoConsent   a newsletter that only the reader's own word can add
    ├── web.bodies.BadFields, BadBody, WrongKind
    │                                   what was sent is not what is asked for
    ├── web.forgery.ForgedRequest       a form that does not come from a page of ours
    ├── web.lists.NoRoom                no room on the disk for a list that comes in
    ├── web.previews.PreviewOver        the address of a preview was good for an hour
    ├── web.sessions.SignedOut          nobody is signed in, and what is asked for is a reader's own
    └── web.webhooks.NotSetUp           a webhook of a provider whose key is not among the settings

`web/problems.py` holds the one table from these classes to HTTP.
"""


class NewsletterError(Exception):
    """Something that the service foresees, named for what happened."""
