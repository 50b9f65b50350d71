"""What wakes the sender. It carries hints only: whatever wakes it, the ledger says what is due."""
