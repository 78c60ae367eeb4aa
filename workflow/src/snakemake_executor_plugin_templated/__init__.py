"""Snakemake executor plugin ``templated``: HTCondor and SLURM, each through one Jinja template."""

from __future__ import annotations

from snakemake_interface_executor_plugins.settings import CommonSettings

from .executor import Executor
from .settings import ExecutorSettings

__all__ = ["Executor", "ExecutorSettings", "common_settings"]

common_settings = CommonSettings(
    non_local_exec=True,
    implies_no_shared_fs=False,
    job_deploy_sources=False,
    # a job is submitted in well under a second; the first look is worth nothing before that
    init_seconds_before_status_checks=1,
)
