"""From documents to a plan, and doubting it."""
