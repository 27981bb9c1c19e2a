"""The `friedel` command: registers the commands and turns errors into one clear line and an exit code.

Exit codes: 0 done; 2 the input, the plan or the command line is wrong; 130 stopped by Ctrl-C.
Nothing heavy is imported here or in the command files' heads, so that ``friedel --help`` answers at once.
"""

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from friedel._version import __version__
from friedel.cli import (
    adapt,
    classes,
    classify,
    demo,
    evaluate,
    merge,
    planning,
    reconstruct,
    register,
    series,
    serve,
    simulate,
    train,
    validate,
    watch,
)
from friedel.core.errors import FriedelError
from friedel.core.machine.memory import keep_freed_memory

BAD_INPUT = 2  # as the shell's own "incorrect usage", and Click's for a wrong command line
STOPPED = 130  # 128 + SIGINT's number, as shells report it


class Commands(TyperGroup):
    """The commands, and what a user sees when one of them fails."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command; errors become one line on stderr, unless ``--debug`` asks for the traceback."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            typer.secho("Stopped. No half-written result was left.", fg="yellow", err=True)
            raise typer.Exit(STOPPED) from None
        except (FriedelError, OSError) as error:
            if ctx.params.get("debug"):
                raise
            typer.secho(f"Error: {error}", fg="red", err=True)
            raise typer.Exit(BAD_INPUT) from None


app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    add_completion=True,
    rich_markup_mode="rich",
    epilog=(
        "Start here:  [bold]friedel demo[/bold]  ·  "
        "crystals:  [bold]friedel reconstruct scan.yaml -o result[/bold]  ·  "
        "single particles:  [bold]friedel classify run.cxi -o hits[/bold]"
    ),
)
app.command(epilog=reconstruct.EPILOG)(reconstruct.reconstruct)
app.command(epilog=classify.EPILOG)(classify.classify)
app.command(epilog=classes.EPILOG)(classes.classes)
app.command(epilog=merge.EPILOG)(merge.merge)
app.command(epilog=adapt.EPILOG)(adapt.adapt)
app.command(name="open", epilog=serve.OPEN_EPILOG)(serve.open_results)
app.command(epilog=series.EPILOG)(series.series)
app.command(epilog=register.EPILOG)(register.register)
app.command(name="plan-scan", epilog=planning.SCAN_EPILOG)(planning.plan_scan)
app.command(name="plan-particles", epilog=planning.PARTICLE_EPILOG)(planning.plan_particles)
app.add_typer(evaluate.evaluate, name="evaluate")
app.add_typer(simulate.simulate, name="simulate")
app.add_typer(train.train, name="train")
app.command(epilog=watch.EPILOG)(watch.watch)
app.command(epilog=watch.REPLAY_EPILOG)(watch.replay)
app.command(epilog=watch.RECORD_EPILOG)(watch.record)
app.command(name="check-stream", epilog=watch.CHECK_EPILOG)(watch.check_stream)
app.command(epilog=validate.EPILOG)(validate.validate)
app.add_typer(demo.app, name="demo")
app.command()(validate.doctor)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"friedel {__version__}")
        raise typer.Exit


@app.callback()
def friedel(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version and leave.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the full traceback of an error.")] = False,
) -> None:
    """Coherent X-ray imaging: single particles at X-ray lasers, crystals at synchrotrons."""


def main() -> None:
    """Run the command line."""
    keep_freed_memory()
    app(prog_name="friedel")
