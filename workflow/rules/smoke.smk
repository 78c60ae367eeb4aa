"""One small job through the whole way: template, queue, environment, and back. `snakemake --profile htcondor smoke`"""

import time

SMOKE_CALLED = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
SMOKE_GPUS = int(config.get("smoke_gpu", 0))


rule smoke:
    """Say what the job found."""
    input:
        paths.SMOKE,
    log:
        "results/smoke/logs/show.log",
    shell:
        "snpoint smoke --show {input:q} --log {log:q}"


rule smoke_job:
    """Check in a job that a job can do its work. Its params hold the time of the call, so that every call runs it."""
    output:
        paths.SMOKE,
    log:
        "results/smoke/logs/smoke.log",
    threads: 1
    resources:
        # importing the network's library takes most of it
        mem_mb=2000,
        disk_mb=500,
        runtime=2,
        gpu=SMOKE_GPUS,
    params:
        called=SMOKE_CALLED,
        gpus=SMOKE_GPUS,
    shell:
        "snpoint smoke --called {params.called:q} --threads {threads} --gpus {params.gpus}"
        " --output {output:q} --log {log:q}"
