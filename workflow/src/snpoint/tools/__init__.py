"""Commands that look at configuration and results; one module per command."""
