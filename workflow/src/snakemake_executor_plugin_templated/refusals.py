"""What is refused before anything is submitted: folders, directives and resources that batch jobs cannot have."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from snakemake_interface_common.exceptions import WorkflowError

from snpoint.site import Site

if TYPE_CHECKING:
    from snakemake.jobs import Job

SNAKEMAKE_RESOURCES = ("mem", "mem_mib", "disk", "disk_mib", "tmpdir", "gpu", "gpu_manufacturer", "nodes", "tasks")


def refuse_misspelt(job: Job) -> None:
    """Raise a WorkflowError for a resource that is nearly one of ours (``--default-resources accounting_grup=…``)."""
    from difflib import get_close_matches

    from .fields import FURTHER, WORDS

    known = (*WORDS, *FURTHER, "mem_mb", "disk_mb", "runtime")
    for name in job.resources.keys():  # noqa: SIM118 -- a list with names, not a mapping
        meant = get_close_matches(name, known, n=1, cutoff=0.8)
        if meant and name not in (*known, *SNAKEMAKE_RESOURCES):
            raise WorkflowError(f"rule {job.name}: resource '{name}' would be passed over; did you mean '{meant[0]}'?")


def refuse_folder(workdir: Path, site: Site) -> None:
    """Raise a WorkflowError if jobs could not work in this folder."""
    for path in (workdir, workdir.resolve()):
        if re.search(r"\s", str(path)):
            raise WorkflowError(
                f"the workflow folder {str(path)!r} contains a space, which submit files cannot carry: "
                "move the folder or rename it"
            )
    if refusal := site.refusal(workdir):
        raise WorkflowError(f"the workflow folder {refusal}")


def refuse_unsupported(job: Job) -> None:
    """Raise a WorkflowError if a job needs what only a Snakemake inside the job could do."""
    directives = {
        "group": job.is_group() or job.group is not None,
        "pipe or service": not job.is_group() and (job.is_pipe or job.is_service),
        "shadow": not job.is_group() and job.is_shadow,
        "benchmark": not job.is_group() and job.benchmark is not None,
        "script": not job.is_group() and job.is_script,
        "run": not job.is_group() and job.is_run,
        "notebook, wrapper, cwl or template_engine": not job.is_group()
        and (job.is_notebook or job.is_wrapper or job.is_cwl or job.is_template_engine),
    }
    refused = [name for name, used in directives.items() if used]
    if refused:
        raise WorkflowError(
            f"rule {job.name} uses {', '.join(refused)}, which --executor templated does not support: "
            "use a shell: directive with one command, or list the rule under localrules"
        )
