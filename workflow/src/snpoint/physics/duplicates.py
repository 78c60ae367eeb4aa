"""Copies among the images of a dataset: the same cluster twice, or the same background event under two events.

Copies in two splits make a test meet what was learned, and a split by file does not keep them apart: a third of the
predecessor's clusters had copies. What is compared is a hash of the content (`snpoint.physics.hashing`), so copies are
found whatever their names and numbers are. The copy kept is that of the event with the smallest number, which does not
depend on the order of the files.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Uids = npt.NDArray[np.uint64]
Bools = npt.NDArray[np.bool_]
Json = dict[str, Any]

_MOST_EXAMPLES, _MOST_EVENTS = 5, 3


@dataclass(frozen=True)
class Copies:
    """Rows that carry the content of another event's rows.

    shared (N,): the content is in several events; later (N,): of these, all but the event of the smallest number.
    """

    fingerprint: Uids
    event_uid: Uids
    shared: Bools
    later: Bools

    def report(self) -> Json:
        """Counts, the largest group of events, and examples from the largest on.

        An example holds its fingerprint, the number of its events, and of up to three of them number and first row.
        """
        pairs = np.unique(np.stack([self.fingerprint[self.shared], self.event_uid[self.shared]], axis=1), axis=0)
        groups, first, sizes = np.unique(pairs[:, 0], return_index=True, return_counts=True)
        largest = np.lexsort((groups, -sizes))[:_MOST_EXAMPLES]
        return {
            "n_images": len(self.shared),
            "n_shared": int(self.shared.sum()),
            "share": float(self.shared.mean()) if len(self.shared) else 0.0,
            "n_later": int(self.later.sum()),
            "n_contents": len(groups),
            "most_events": int(sizes.max()) if len(sizes) else 0,
            "examples": [
                self._example(groups[place], pairs[first[place] : first[place] + sizes[place], 1]) for place in largest
            ],
        }

    def _example(self, content: np.uint64, events: Uids) -> Json:
        own = np.flatnonzero(self.fingerprint == content)
        return {
            "fingerprint": f"{int(content):016x}",
            "n_events": len(events),
            "events": [int(uid) for uid in events[:_MOST_EVENTS]],
            "rows": [int(own[np.argmax(self.event_uid[own] == uid)]) for uid in events[:_MOST_EVENTS]],
        }


def find_copies(event_uid: Uids, fingerprint: Uids) -> Copies:
    """Rows of different events with the same fingerprint; 0 is no fingerprint, and rows of one event may agree.

    Parameters
    ----------
    event_uid, fingerprint
        Of each image (or of whatever else the rows are), (N,).
    """
    order = np.lexsort((event_uid, fingerprint))
    uid, content = event_uid[order], fingerprint[order]
    begins = np.ones(len(order), bool)
    begins[1:] = content[1:] != content[:-1]
    group = np.cumsum(begins) - 1
    first = np.flatnonzero(begins)
    last = np.append(first, len(order))[1:] - 1
    known = content != 0
    shared, later = np.zeros(len(order), bool), np.zeros(len(order), bool)
    shared[order] = known & (uid[first] != uid[last])[group]
    later[order] = known & (uid != uid[first][group])
    return Copies(fingerprint, event_uid, shared, later)


def in_several(split: npt.NDArray[np.uint8], key: Uids) -> int:
    """How many values of a key (event, content; 0 is none) are in more than one split."""
    pairs = np.unique(np.stack([key[key != 0], split[key != 0].astype(np.uint64)], axis=1), axis=0)
    return int((np.unique(pairs[:, 0], return_counts=True)[1] > 1).sum())
