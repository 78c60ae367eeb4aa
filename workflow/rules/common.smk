"""What all rules share: wildcards, and functions from wildcards to settings, resources and inputs."""

import os
import sys
from functools import cache

from snpoint import config as config_files
from snpoint import jobrequests, paths, preflight, recovery, submissions
from snpoint.errors import InputMissingError, SnpointError


wildcard_constraints:
    task=paths.TASK,
    version=paths.VERSION,
    sample=paths.NAME,
    dataset=paths.NAME,
    pointing=paths.NAME,
    chunk=paths.CHUNK,


def stop(error):
    """End with one line. An exception would come with a page of Snakemake's own traceback."""
    logger.error(f"error: {error}")
    sys.exit(error.exit_code)


try:
    preflight.check_active()
except SnpointError as error:
    stop(error)

recovery.remember_unfinished()


def settings(stage, **fixed):
    """The single param of a rule: the resolved settings of its stage as one canonical string."""

    def canonical(wildcards):
        return config_files.stage_settings(stage, {**wildcards, **fixed}).canonical()

    return canonical


def resource(stage, name):
    """One resource of a job, from the `job:` section behind it. Resources never make a result stale."""

    def value(wildcards):
        return jobrequests.resources(jobrequests.stage_job(stage, wildcards), stage)[
            name
        ]

    return value


def job_resources(stage):
    """All other resources of a job."""
    return {name: resource(stage, name) for name in jobrequests.resource_names(stage)}


def tpstream_files(wildcards):
    """TPStream files of one chunk."""
    warn_of_stand_in(wildcards.sample)
    return config_files.tpstream_files(wildcards.sample, wildcards.chunk)


def background_files(wildcards):
    """TPStream files of the background that is laid over one chunk."""
    pool = config_files.load_sample(wildcards.sample).background
    if pool is not None:
        warn_of_stand_in(pool.sample)
    return config_files.background_files(wildcards.sample, wildcards.chunk)


@cache
def warn_of_stand_in(sample):
    """Say once, where nobody can miss it, that a simulated sample takes the place of a production."""
    try:
        text = config_files.stand_in_notice(sample)
    except SnpointError as error:
        stop(error)
    if text:
        logger.warning(text)


def sample_tps(wildcards):
    """The matched TPs that the calibration of a sample is measured on."""
    return [
        paths.chunk("match", wildcards.sample, chunk)
        for chunk in config_files.calibration_chunks(wildcards.sample)
    ]


def sample_calibration(wildcards):
    """The calibration that a sample's clusters use, if they use a measured one."""
    return config_files.calibration(wildcards.sample)


def dataset_calibration(wildcards):
    """The calibration that a dataset's images use, if they use a measured one."""
    return config_files.calibration(wildcards.sample, wildcards.dataset)


def dataset_shards(wildcards):
    """One shard for each chunk of each sample of a dataset."""
    return [
        paths.shard(wildcards.dataset, sample, chunk)
        for sample, chunk in config_files.dataset_chunks(wildcards.dataset)
    ]


def version_split(wildcards):
    """The split a version is trained on."""
    return config_files.dataset_file(
        "split.npz",
        config_files.load_version(wildcards.task, wildcards.version).dataset,
    )


def predicted_split(wildcards):
    """The split that a version is applied to."""
    return config_files.dataset_file("split.npz", wildcards.dataset)


def pointing_predictions(wildcards):
    """The predictions a pointing uses: of the version's test events, or of a dataset it was applied to."""
    return config_files.pointing_predictions(wildcards.pointing)


def pointing_likelihood(wildcards):
    """The likelihood table of the version a pointing uses."""
    return config_files.pointing_likelihood(wildcards.pointing)


def report_inputs(page):
    """Every result the page shows."""

    def inputs(wildcards):
        return config_files.report_inputs(page)

    return inputs


def real_data_page(wildcards):
    """The page of the real files; without the files a loud skip, except in CI, where it is an error."""
    try:
        config_files.report_inputs("real_data")
    except InputMissingError as error:
        if os.environ.get("CI"):
            raise
        logger.warning(f"SKIPPED: no real data. {error}")
        return []
    return paths.report_page("real_data")


def versions_to_run():
    """The versions that have a job in this run, by (task, version)."""
    wildcards = [job.wildcards_dict for job in workflow.dag.needrun_jobs()]
    return [
        (names["task"], names["version"]) for names in wildcards if "version" in names
    ]


def refuse_second_writer():
    """Stop if this machine is about to make what jobs of an earlier run, still in a queue, may write as well."""
    here = [job for job in workflow.dag.needrun_jobs() if job.is_local]
    try:
        submissions.refuse_second_writer(
            str(path) for job in here for path in job.output
        )
    except SnpointError as error:
        stop(error)
