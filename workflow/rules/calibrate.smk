"""ADC per MeV of a sample."""


rule calibrate:
    """Measure ADC per MeV and per electron on the matched TPs of a sample."""
    input:
        tps=sample_tps,
    output:
        calibration=paths.calibrate_file("calibration.json"),
        report=paths.calibrate_file("report.pdf"),
    log:
        paths.log(paths.calibrate_file("calibration.json"), "calibrate"),
    threads: resource("calibrate", "threads")
    resources:
        **job_resources("calibrate"),
    params:
        settings=settings("calibrate"),
    shell:
        "snpoint calibrate {input.tps:q} --settings {params.settings:q} --calibration {output.calibration:q}"
        " --report {output.report:q} --log {log:q}"
