"""Pure numerical code: no files, no networks."""
