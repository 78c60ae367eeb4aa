"""File contracts and input/output: the only place that opens files of data."""
