"""Options of the executor: ``--templated-...``.

No postponed annotations in here: the plugin interface looks at the types themselves.
"""

from dataclasses import dataclass, field

from snakemake_interface_executor_plugins.settings import ExecutorSettingsBase

SYSTEMS = ("htcondor", "slurm")


@dataclass
class ExecutorSettings(ExecutorSettingsBase):
    """Options ``--templated-...``."""

    system: str | None = field(
        default=None,
        metadata={"help": "Batch system to submit to.", "required": True, "choices": list(SYSTEMS), "type": str},
    )
    template: str | None = field(
        default=None,
        metadata={"help": "Jinja template of the submit file.", "required": True, "metavar": "FILE", "type": str},
    )
    site: str | None = field(
        default=None,
        metadata={
            "help": "YAML file of the site: ceilings, environment of jobs, defaults (configs/sites).",
            "metavar": "FILE",
            "type": str,
        },
    )
    repeat_failed: bool = field(
        default=False,
        metadata={
            "help": "Submit also what has failed for a reason of its own (exit codes 64 to 78, a bug) "
            "and of which neither settings nor inputs nor code have changed since.",
        },
    )
