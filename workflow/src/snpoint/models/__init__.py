"""Networks and losses: the only place that imports keras."""

import os

# TensorFlow writes a page of notices to stderr at import; errors still get through.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
