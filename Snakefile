"""Supernova pointing: from MC truth (or simulation) to a sky map, one YAML file per network version."""

from snakemake.utils import min_version

from snpoint import lock

min_version("9.27")


include: "workflow/rules/common.smk"
include: "workflow/rules/simulate.smk"
include: "workflow/rules/match.smk"
include: "workflow/rules/calibrate.smk"
include: "workflow/rules/cluster.smk"
include: "workflow/rules/image.smk"
include: "workflow/rules/dataset.smk"
include: "workflow/rules/train.smk"
include: "workflow/rules/evaluate.smk"
include: "workflow/rules/likelihood.smk"
include: "workflow/rules/interpret.smk"
include: "workflow/rules/predict.smk"
include: "workflow/rules/point.smk"
include: "workflow/rules/report.smk"
include: "workflow/rules/smoke.smk"


localrules:
    all,
    real_data,
    smoke,


rule all:
    """Every active version with its tables, interpretation and sky maps, the registry and the page."""
    default_target: True
    input:
        paths.REPORT_PAGE,


rule real_data:
    """The real files through the chain, the networks applied to them, and their page."""
    input:
        real_data_page,


onstart:
    # the lock is taken at this point, and a dry run does not come here
    refuse_second_writer()
    lock.claim()
    preflight.write_resolved(versions_to_run())
