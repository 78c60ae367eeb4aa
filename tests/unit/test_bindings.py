"""What a failed submission to HTCondor means, by the words of the bindings."""

from __future__ import annotations

import pytest

from snakemake_executor_plugin_templated.bindings import meaning


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        # limits on the number of jobs
        ("expected next ProcId to be 0, but Schedd says -3", "not now"),
        ("expected next ProcId to be 1, but Schedd says -4", "not now"),
        ("Failed to create new cluster.SCHEDD:22:MAX_JOBS_SUBMITTED exceeded. Current=2, Limit=1", "not now"),
        ("Unable to commit transaction, SCHEDD:2:MAX_JOBS_SUBMITTED exceeded. Current=2, Limit=1", "not now"),
        ("Number of submitted jobs would exceed MAX_JOBS_PER_OWNER", "not now"),
        ("Unable to commit transaction, SCHEDD:2:You have too many idle jobs", "not now"),
        # nothing was sent
        ("Failed to connect to schedd, errmsg=SECMAN:2011:Connection closed during command authorization.", "not now"),
        ("Failed to create new cluster.", "not now"),
        ("expected next ProcId to be 0, but Schedd says -1", "not now"),
        # sent, perhaps committed
        ("Unable to commit transaction, ", "no answer"),
        ("Failed to send Cluster Ad", "no answer"),
        ("words of a later version", "no answer"),
        # for good
        ("expected next ProcId to be 0, but Schedd says -5", "refused"),
        ("Unable to commit transaction, SCHEDD:2:request_memory is too small for us", "refused"),
        ("Failed to create job ad, errmsg=Submit:-1:No 'executable' parameter was provided", "refused"),
        ("Failed to store the Kerberos credential for the pool: no ticket", "refused"),
    ],
)
def test_failed_submissions_are_told_apart(said: str, meant: str) -> None:
    assert meaning(said) == meant
