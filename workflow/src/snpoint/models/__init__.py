"""Networks and losses: the only place that imports keras."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")


@contextmanager
def _quiet() -> Iterator[None]:
    """Close stderr for a while: TensorFlow's libraries write notices to it at import that no variable turns off."""
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


with _quiet():
    import keras  # noqa: F401  # an import that fails raises as ever; its traceback is written afterwards
