"""Payment details: whose customer a reader is, and how a new card gets to what they pay for."""
