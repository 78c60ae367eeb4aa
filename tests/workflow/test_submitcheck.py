"""What batch systems pass over in silence is an error before the submission."""

from __future__ import annotations

import pytest

from snakemake_executor_plugin_templated.submitcheck import check
from snpoint.errors import ConfigError

SUBMIT = "executable = /a/b.sh\nrequest_cpus = 1\n{}\nqueue\n"
BATCH = "#!/bin/bash\n#SBATCH --job-name=a\n{}\nexec /a/b.sh\n"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("request_memroy = 4GB", "unknown submit command 'request_memroy'; did you mean 'request_memory'?"),
        ('+JobFlavor = "tomorrow"', "unknown attribute '+JobFlavor'; did you mean '+JobFlavour'?"),
        ('MY.JobFlavor = "tomorrow"', "did you mean '+JobFlavour'?"),
        ("+MaxRunTimes = 5", "did you mean '+MaxRuntime'?"),
        ('+JobFlavour = "tomorow"', "did you mean 'tomorrow'?"),
        ("getenv = True", "tokens"),
        ("max_retries = 3", "the executor decides"),
        ("queue 100", "one submission is one job"),
        ("request_cpus", "is not `command = value`"),
        ("requirements = A && \\\n  B\nrequest_gpu = 1", "line 5: unknown submit command 'request_gpu'"),
    ],
)
def test_htcondor_line_that_would_mean_nothing(line: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        check("htcondor", SUBMIT.format(line), "site.j2")
    assert said in str(caught.value)
    assert str(caught.value).startswith("site.j2: line ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "line",
    [
        "# request_memroy is what people write",
        "Request_Memory = 4GB",
        '+jobflavour = "workday"',
        'MY.SingularityImage = "/x"',
        "periodic_hold = JobStatus == 2 && x = 3",
        'environment = "A=1 \\\n  B=2"',
        "",
    ],
)
def test_htcondor_line_that_means_something(line: str) -> None:
    check("htcondor", SUBMIT.format(line), "site.j2")


def test_attribute_of_the_site_is_known_where_the_site_file_names_it() -> None:
    text = SUBMIT.format("+OurQueue = 1")
    check("htcondor", text, "site.j2", attributes=["OurQueue"])
    with pytest.raises(ConfigError, match="`attributes` of its site file"):
        check("htcondor", text, "site.j2")


@pytest.mark.parametrize(("text", "said"), [("universe = vanilla\n", "0 `queue`"), ("queue\nqueue\n", "2 `queue`")])
def test_htcondor_file_is_exactly_one_job(text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        check("htcondor", text, "site.j2")


def test_htcondor_line_after_queue_is_an_error() -> None:
    with pytest.raises(ConfigError, match="stands after `queue`"):
        check("htcondor", "queue\nrequest_memory = 4GB\n", "site.j2")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("#SBATCH --men=4G", "unknown option '--men'; did you mean 'mem'?"),
        ("#SBATCH --gre=gpu:1", "did you mean 'gres'?"),
        ("#SBTACH --mem=4G", "is a comment to SLURM; write #SBATCH"),
        ("# SBATCH --mem=4G", "is a comment to SLURM"),
        ("#SBATCH mem=4G", "is not an option of sbatch"),
        ("#SBATCH -Z", "is not an option of sbatch"),
        ("#SBATCH --array=1-10", "one submission is one job"),
        ("module load x\n#SBATCH --mem=4G", "stands after the first command"),
        ('#SBATCH --constraint="OpSys == 3"', "not made of features"),
    ],
)
def test_slurm_line_that_would_mean_nothing(line: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        check("slurm", BATCH.format(line), "site.j2")
    assert said in str(caught.value)
    assert str(caught.value).startswith("site.j2: line ")


@pytest.mark.parametrize(
    "line", ["#SBATCH -c 4", "#SBATCH --mem 4G", "#SBATCH --requeue", '#SBATCH --constraint="a&b"', "# a comment", ""]
)
def test_slurm_line_that_means_something(line: str) -> None:
    check("slurm", BATCH.format(line), "site.j2")


def test_slurm_script_needs_a_first_line() -> None:
    with pytest.raises(ConfigError, match="#!/bin/bash"):
        check("slurm", "#SBATCH --mem=4G\n", "site.j2")
