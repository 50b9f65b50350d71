"""Who reads us: addresses, newsletters, subscriptions."""
