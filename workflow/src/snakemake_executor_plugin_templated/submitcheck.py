"""Is every line of a submit file one that the batch system understands?

Both systems take misspelt requests in silence: HTCondor reads an unknown command as a macro of the user, an unknown
``+Attribute`` as one more attribute that nobody looks at, and SLURM stops reading options at the first command. The job
then runs with 20 minutes, or without its GPU. So everything is compared with what is known, before the submission.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

from snpoint.errors import ConfigError, shown
from snpoint.validation import nearest

from .fields import FLAVOURS

_SUBMIT_COMMANDS = """
accounting_group accounting_group_user allowed_execute_duration allowed_job_duration arguments batch_name
checkpoint_exit_code concurrency_limits concurrency_limits_expr container_image container_service_names
container_target_dir core_size coresize cuda_version description docker_image dont_encrypt_input_files
dont_encrypt_output_files email_attributes encrypt_execute_directory encrypt_input_files encrypt_output_files env
environment error executable gpus_maximum_capability gpus_minimum_capability gpus_minimum_memory
gpus_minimum_runtime hold image_size initialdir input job_ad_information_attrs job_lease_duration
job_machine_attrs job_machine_attrs_history_length job_max_vacate_time keep_claim_idle kill_sig kill_sig_timeout
leave_in_queue log log_xml manifest manifest_dir match_list_length max_job_retirement_time max_transfer_input_mb
max_transfer_output_mb nice_user notification notify_user on_exit_hold on_exit_hold_reason on_exit_hold_subcode
on_exit_remove output periodic_hold periodic_hold_reason periodic_hold_subcode periodic_release periodic_remove
periodic_vacate preserve_relative_paths priority rank remove_kill_sig request_cpus request_disk request_gpus
request_memory require_gpus requirements run_as_owner should_transfer_files stack_size stream_error stream_output
submit_event_notes submit_event_user_notes success_exit_code transfer_executable transfer_input_files
transfer_output_files transfer_output_remaps ulog_execute_attrs universe use_oauth_services use_x509userproxy
want_graceful_removal when_to_transfer_output x509userproxy
"""
SUBMIT_COMMANDS = frozenset(_SUBMIT_COMMANDS.split())

_ATTRIBUTES = """
AccountingGroup AcctGroup AcctGroupUser BatchExtra DESIRED_Sites JobBatchName JobDescription JobFlavour JobPrio
MaxRuntime ProjectName RequestRuntime SendCredential SingularityBind SingularityBindExpr SingularityImage
SnpointKey SnpointWorkdir UNDESIRED_Sites WantCheckpointSignal WantOS
"""
ATTRIBUTES = tuple(_ATTRIBUTES.split())

_SBATCH_OPTIONS = """
account acctg-freq bb bbf begin chdir cluster-constraint clusters comment constraint container contiguous
core-spec cores-per-socket cpu-freq cpus-per-gpu cpus-per-task deadline delay-boot dependency distribution error
exclude exclusive export extra-node-info gpu-bind gpu-freq gpus gpus-per-node gpus-per-socket gpus-per-task gres
gres-flags hint input job-name licenses mail-type mail-user mcs-label mem mem-bind mem-per-cpu mem-per-gpu mincpus
network nice no-kill no-requeue nodefile nodelist nodes ntasks ntasks-per-core ntasks-per-gpu ntasks-per-node
ntasks-per-socket open-mode output overcommit oversubscribe partition power prefer priority profile propagate qos
reboot requeue reservation signal sockets-per-node spread-job switches thread-spec threads-per-core time time-min
tmp use-min-nodes verbose wckey
"""
SBATCH_OPTIONS = frozenset(_SBATCH_OPTIONS.split())
SBATCH_LETTERS = "ABCcDdeFGHILMmNnoOpqstwx"

REFUSED = {
    "getenv": "it hands the submitter's tokens and paths to every job; set PATH in `environment` instead",
    "max_retries": "the executor decides by the cause of a failure whether a job is tried again",
    "retry_until": "the executor decides by the cause of a failure whether a job is tried again",
    "array": "one submission is one job",
    "wrap": "the job is the wrapper in the last line",
    "wait": "the executor asks about all jobs at once and waits for none",
    "export-file": "it hands the submitter's environment to every job",
    "get-user-env": "it hands the submitter's environment to every job",
}

_ASSIGNMENT = re.compile(r"(\+|my\.)?([A-Za-z_][A-Za-z0-9_.]*)\s*=(.*)", re.IGNORECASE | re.DOTALL)
_MISSPELT = re.compile(r"#+\s*S[A-Z]{3,7}\s+-", re.IGNORECASE)
_FEATURES = re.compile(r"[A-Za-z0-9_.:,&|*()\[\]-]+")


def check(system: str, text: str, where: str, attributes: Sequence[str] = ()) -> None:
    """Refuse a submit file with anything in it that the batch system would not understand.

    Parameters
    ----------
    system : str
        ``htcondor`` or ``slurm``.
    text : str
        The rendered submit file.
    where : str
        Where it comes from, for the message: the template.
    attributes : sequence of str
        HTCondor: further ``+Attributes`` that the site knows (`Site.attributes`).

    Raises
    ------
    snpoint.errors.ConfigError
        An unknown command, attribute or option, with the nearest one that exists; a flavour that CERN does not have; or
        not exactly one job.
    """
    checks: dict[str, Callable[[], str | None]] = {
        "htcondor": lambda: _htcondor_problem(text, (*ATTRIBUTES, *attributes)),
        "slurm": lambda: _slurm_problem(text),
    }
    if problem := checks[system]():
        raise ConfigError(f"{where}: {problem}")


def _htcondor_problem(text: str, attributes: Sequence[str]) -> str | None:
    queued = 0
    for number, line in _logical_lines(text):
        first = line.split()[0].lower()
        if first == "queue":
            queued += 1
            if line.split()[1:] not in ([], ["1"]):
                return f"line {number}: '{line}': one submission is one job; write `queue`"
            continue
        if queued:
            return f"line {number}: '{line}' stands after `queue` and would be left out; move it up"
        found = _ASSIGNMENT.fullmatch(line)
        if not found:
            return f"line {number}: '{line}' is not `command = value`"
        prefix, name, value = found.groups()
        problem = _attribute_problem(name, value, attributes) if prefix else _command_problem(name)
        if problem:
            return f"line {number}: {problem}"
    return None if queued == 1 else f"{queued} `queue` lines; one submission is one job: write exactly one"


def _logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """Lines with their number, without comments and empty ones; a backslash at the end joins it with the next."""
    joined, first = "", 0
    for number, line in enumerate(text.splitlines(), start=1):
        if not joined:
            first = number
            if not line.strip() or line.lstrip().startswith("#"):
                continue
        if line.endswith("\\"):
            joined += line[:-1]
            continue
        yield first, (joined + line).strip()
        joined = ""
    if joined:
        yield first, joined.strip()


def _command_problem(name: str) -> str | None:
    if name.lower() in REFUSED:
        return f"'{name}' is not used here: {REFUSED[name.lower()]}"
    if name.lower() not in SUBMIT_COMMANDS:
        return f"unknown submit command '{name}'; {nearest(name.lower(), sorted(SUBMIT_COMMANDS))}"
    return None


def _attribute_problem(name: str, value: str, attributes: Sequence[str]) -> str | None:
    known = {attribute.lower(): f"+{attribute}" for attribute in attributes}
    if name.lower() not in known:
        hint = nearest(f"+{name}", known.values())
        return f"unknown attribute '+{name}'; {hint} (one that only your site has: `attributes` of its site file)"
    flavour = value.strip().strip('"')
    if name.lower() == "jobflavour" and flavour not in FLAVOURS:
        return f"+JobFlavour {shown(flavour)} is unknown; {nearest(flavour, FLAVOURS)}"
    return None


def _slurm_problem(text: str) -> str | None:
    lines = text.splitlines()
    if not lines or not lines[0].startswith("#!"):
        return "line 1: a batch script starts with #!/bin/bash"
    started = False
    for number, line in enumerate(lines[1:], start=2):
        if not line.startswith("#"):
            started = started or bool(line.strip())
            continue
        word, _, option = line.partition(" ")
        if word != "#SBATCH":
            if _MISSPELT.match(line):
                return f"line {number}: '{line}' is a comment to SLURM; write #SBATCH"
            continue
        if started:
            return f"line {number}: '{line}' stands after the first command and would be left out; move it up"
        if problem := _option_problem(option.strip()):
            return f"line {number}: {problem}"
    return None


def _option_problem(option: str) -> str | None:
    if re.match(rf"-[{SBATCH_LETTERS}]([ =]|$)", option):
        return None
    name, value = [*re.split(r"[= ]", option.removeprefix("--"), maxsplit=1), ""][:2]
    if not option.startswith("--"):
        return f"'{option}' is not an option of sbatch; write --name=value"
    if name in REFUSED:
        return f"--{name} is not used here: {REFUSED[name]}"
    if name not in SBATCH_OPTIONS:
        return f"unknown option '--{name}'; {nearest(name, sorted(SBATCH_OPTIONS))}"
    if name == "constraint" and not _FEATURES.fullmatch(value.strip("\"'")):
        return f"--constraint {shown(value)} is not made of features, as `requirements` must be for SLURM (a100&nvlink)"
    return None
