"""Networks and losses: the only place that imports keras."""
