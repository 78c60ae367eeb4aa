"""The ``snpoint`` command: one subcommand per stage, and a few to look at configuration and results."""

from __future__ import annotations

import importlib
import logging
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import click

from snpoint import __version__, config, paths, provenance
from snpoint.commands import COMMANDS, Command, Option
from snpoint.errors import InputMissingError, SnpointError, UsageError
from snpoint.settings import ReportSettings
from snpoint.tools.lists import LazyGroup, ListsCommand

log = logging.getLogger("snpoint")

TOOLS = {
    "status": "Show the state of every stage of every version.",
    "registry": "Print the table of versions, and where to look.",
    "unlock": "Remove the lock of a run that is dead.",
    "repair": "Re-record what matches its provenance, force the rest (after .snakemake was lost).",
    "check": "Verify every file under results/ against its contract.",
    "config": "Show or validate configuration files, or print their JSON schema.",
    "render": "Print a stage's submit file without submitting it.",
    "doctor": "Check this machine and folder before the first submission.",
    "smoke": "Check, inside a job, that a job can do its work.",
    "compare": "Compare two versions on their common test events (paired bootstrap).",
    "freeze": "Freeze the list of a sample's input files, with checksums, in a manifest.",
    "validate": "Compare the simulation with Geant4, published tables and real events.",
    "show": "Draw one event of a file: three planes, clusters, true direction.",
    "fingerprint": "Print the fingerprints of a file's clusters.",
    "import": "Turn dense NPZ files of the predecessor into a dataset.",
    "export": "Write a dataset as dense NPZ files, or clusters as ROOT trees, in the predecessor's layout.",
}


class _MainGroup(LazyGroup):
    """Stages in the order of the pipeline, which are built from their descriptions, then the tools."""

    sections: ClassVar = {"Stages": {name: command.help for name, command in COMMANDS.items()}, "Tools": TOOLS}
    modules: ClassVar = {name: f"snpoint.tools.{name}" for name in TOOLS} | {
        "import": "snpoint.tools.import_"  # a keyword cannot name a module
    }

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The subcommand of this name."""
        if cmd_name in COMMANDS:
            return _stage_command(cmd_name, COMMANDS[cmd_name])
        return super().get_command(ctx, cmd_name)


@click.group(cls=_MainGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="snpoint")
def cli() -> None:
    """Supernova pointing with DUNE trigger primitives, stage by stage.

    The pipeline runs these commands through Snakemake (`snakemake --profile local`); each of them also works by hand.
    Errors are one line, with the exit codes of docs/errors.md.
    """


def _stage_command(stage: str, command: Command) -> click.Command:
    parameters = [_parameter(option) for option in command.options]
    parameters += [
        click.Option(
            ["--settings"], help=f"Settings as JSON (default: `{stage}` of _base.yaml).", metavar="JSON", default=None
        ),
        click.Option(["--set"], help="Put one value on top, e.g. --set seed=2.", metavar="KEY=VALUE", multiple=True),
        click.Option(["--log"], help="Also write the log to this file.", type=click.Path(path_type=Path)),
    ]
    lists = tuple(option.flag for option in command.options if option.kind == "inputs" and not option.positional)
    return ListsCommand(stage, params=parameters, callback=_callback(stage, command), help=command.help, lists=lists)


def _parameter(option: Option) -> click.Parameter:
    many = option.kind == "inputs"
    kinds: dict[str, Any] = {"text": str, "number": int}
    kind = kinds.get(option.kind, _FILE)
    if option.positional:
        name = option.name.upper() + ("..." if many else "")
        return click.Argument([option.name], type=kind, required=True, nargs=-1 if many else 1, metavar=name)
    flags = [*([option.short] if option.short else []), option.flag, option.name]
    return click.Option(flags, type=kind, required=option.required, help=option.help, multiple=many)


class _File(click.Path):
    """A path; an empty one, as a rule writes it for a file that it does without, is none."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        return super().convert(value, param, ctx) if value != "" else None


_FILE = _File(path_type=Path)


def _callback(stage: str, command: Command) -> Callable[..., None]:
    def run(settings: str | None, set: tuple[str, ...], log: Path | None, **values: Any) -> None:
        output = next(values[option.name] for option in command.options if option.kind == "output")
        start_logging(f"{stage} {paths.target(output.absolute(), stage)}", log)
        run_stage(stage, command, config.parse_settings(stage, settings, set), values)

    return run


def run_stage(stage: str, command: Command, settings: Any, values: dict[str, Any]) -> None:
    """Run one stage: inputs must exist, a record is kept, outputs must be there afterwards."""
    inputs = [path for option in command.options for path in _paths(option, values, ("input", "inputs"))]
    outputs = [path for option in command.options for path in _paths(option, values, ("output",))]
    same = {path.resolve() for path in inputs} & {path.resolve() for path in outputs}
    if same:
        raise UsageError(f"{sorted(same)[0]} is both read and written by {stage}; give the output another name")
    for path in inputs:
        if not path.exists():
            raise InputMissingError(f"{path} does not exist; it is an input of {stage}")
    if isinstance(settings, ReportSettings):  # it finds its inputs by the names in its settings
        found = map(Path, config.report_files(settings, values["page"].stem))
        inputs = [path for path in found if path.exists()]
    given = {option.name: values[option.name] for option in command.options if values[option.name] is not None}
    given |= {option.name: list(values[option.name]) for option in command.options if option.kind == "inputs"}
    record = paths.provenance(outputs[0], stage)
    with provenance.recorded(record, stage, settings, inputs, outputs):
        importlib.import_module(f"snpoint.stages.{stage}").run(settings, **given)


def _paths(option: Option, values: dict[str, Any], kinds: tuple[str, ...]) -> list[Path]:
    value = values[option.name]
    if option.kind not in kinds or value is None:
        return []
    return list(value) if option.kind == "inputs" else [value]


def start_logging(name: str, file: Path | None) -> None:
    """Log to stderr, each line with the job's name, and to ``file`` with the time and the exact command."""
    screen = logging.StreamHandler(sys.stderr)
    screen.setFormatter(logging.Formatter(f"[{name}] %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[screen], force=True)
    log.setLevel(logging.INFO)
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        handler = logging.FileHandler(file, mode="w", encoding="utf-8")
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        logging.root.addHandler(handler)
        # on the screen it would bury the progress: settings are a page of JSON
        handler.handle(
            log.makeRecord(log.name, logging.INFO, __file__, 0, f"command: {provenance.command()}", (), None)
        )


def main() -> None:
    """Entry point: own errors are one line with their exit code; anything else is a bug, with its traceback."""
    try:
        code = cli(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(64)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(130)
    except SnpointError as error:
        _say(f"error: {error}")
        sys.exit(error.exit_code)
    except MemoryError as error:
        _say(f"error: out of memory{f' ({error})' if str(error) else ''}; run it with more")
        sys.exit(provenance.OUT_OF_MEMORY)
    except Exception:  # noqa: BLE001 -- the last resort: the log must hold the traceback
        _say(f"unexpected error (please report it)\n{traceback.format_exc()}")
        sys.exit(70)
    # click hands the code of `ctx.exit` back instead of raising when it does not stand alone
    sys.exit(code if isinstance(code, int) else 0)


def _say(message: str) -> None:
    """To the log where a stage has started one, else to stderr."""
    if logging.root.handlers:
        log.error("%s", message)
    else:
        click.echo(message, err=True)
