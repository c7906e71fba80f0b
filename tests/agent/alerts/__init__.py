"""Which alerts fire, and how they travel."""
