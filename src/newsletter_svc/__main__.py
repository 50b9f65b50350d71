"""`python -m newsletter_svc`: the `newsletter` command, for processes that start it by their own interpreter."""

from newsletter_svc.app import main

main()
