"""Stand-ins for what lies outside the service: real protocols on loopback, with faults on order."""
