"""Everything -> the registry and the pages."""


localrules:
    report,
    report_real_data,


rule report:
    """Collect the results of all active versions into the registry and the page."""
    input:
        report_inputs("index"),
    output:
        page=paths.report_page("index"),
        registry_csv=paths.REGISTRY_CSV,
        registry_json=paths.REGISTRY_JSON,
    log:
        paths.log(paths.report_page("index"), "report"),
    params:
        settings=settings("report", page="index"),
    shell:
        "snpoint report --settings {params.settings:q} --page {output.page:q} --registry-csv {output.registry_csv:q}"
        " --registry-json {output.registry_json:q} --log {log:q}"


rule report_real_data:
    """Show what the networks make of the real files."""
    input:
        report_inputs("real_data"),
    output:
        page=paths.report_page("real_data"),
    log:
        paths.log(paths.report_page("real_data"), "report"),
    params:
        settings=settings("report", page="real_data"),
    shell:
        "snpoint report --settings {params.settings:q} --page {output.page:q} --log {log:q}"
