"""One module per stage: read, call physics or models, write."""
