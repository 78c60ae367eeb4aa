"""Running ``snpoint show``, and an event to be shown."""

from pathlib import Path

from click.testing import CliRunner
from toy_events import cluster

from snpoint.tools.show import command


def show(*arguments):
    """Run the command; its error, if it has one, is raised."""
    result = CliRunner().invoke(command, [str(argument) for argument in arguments], standalone_mode=False)
    if result.exception:
        raise result.exception
    return Path(result.output.strip())


def n_tps(panels):
    return [len(getattr(panel, "panel", panel).channel) for panel in panels]


def is_png(path):
    return path.read_bytes().startswith(b"\x89PNG") and path.stat().st_size > 10_000


def linked_event(**values):
    """A main cluster on X and U in APA 0 at x > 0, another cluster on X, and noise."""
    tps = cluster(2200, 1, is_main=1, link_id=3, **values) + cluster(300, 2, is_main=1, link_id=3, **values)
    noise = [{"channel": c, "start": 1000 + c % 97, "is_signal": 0} | values for c in (2210, 310, 900, 1700, 5000)]
    return tps + cluster(2250, 4, start=1040, adc_integral=400, **values) + noise


def legend(canvas):
    return {text.get_text() for text in canvas.legends[0].get_texts()}
