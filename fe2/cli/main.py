"""The command `fe2`: finds the subcommand, and turns errors into messages and an exit status."""

from __future__ import annotations

import difflib
import importlib
import sys
from collections.abc import Sequence
from typing import NoReturn

import click

from fe2.cli.petsc_files import leave_out_working_directory
from fe2.cli.ranks import first_rank, single_rank
from fe2.cli.signals import STOPPED
from fe2.cli.streams import surviving_streams
from fe2.cli.warned import told_warnings
from fe2.errors import Fe2Error, RunInterruptedError

_COMMANDS = (
    *("homogenize", "run", "check", "material", "linear-range", "reduce", "sample", "size-study"),
    *("scales", "spectrum", "mesh", "show", "report", "replay", "new", "schema", "info", "umat"),
)

_WRITE_FILES = ("run", "sample", "reduce", "mesh", "report", "new")
"""Commands whose results are files, and which print only how they get on."""

_EPILOG = """\b
Start here:
  fe2 new plate                     a folder with a case that runs as it is
  fe2 check plate/case.toml         is the file right?
  fe2 run plate/case.toml           a two-scale run
  mpirun -n 4 fe2 run plate/case.toml
  fe2 show plate/results            what came out
  fe2 report plate/results          the same as one page of HTML
  fe2 homogenize plate/cell.toml    effective properties of one cell

\b
Completion of commands and options in the shell (put the line into its start-up file):
  bash   eval "$(_FE2_COMPLETE=bash_source fe2)"
  zsh    eval "$(_FE2_COMPLETE=zsh_source fe2)"
  fish   _FE2_COMPLETE=fish_source fe2 | source

The exit status is 0 only for success: 1 where a file or a run failed, 2 where the command line is wrong, 75
where a signal stopped a run that can be resumed."""


class _Commands(click.Group):
    """Subcommands, each in the module of its name."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All of them, in the order of their use."""
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of a name."""
        if cmd_name not in _COMMANDS:
            return None
        return importlib.import_module(f"fe2.cli.{cmd_name.replace('-', '_')}").command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that is called; of a name that is none, the nearest one is told."""
        if args and args[0] not in _COMMANDS and not args[0].startswith("-"):
            near = difflib.get_close_matches(args[0], _COMMANDS, n=1)
            ctx.fail(f"No such command {args[0]!r}." + (f" Did you mean {near[0]}?" if near else ""))
        return super().resolve_command(ctx, args)


def _print_version(ctx: click.Context, parameter: click.Parameter, wanted: bool) -> None:
    if wanted:
        import fe2

        click.echo(f"fe2 {fe2.__version__}")
        ctx.exit()


@click.command(
    cls=_Commands,
    epilog=_EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100, "show_default": True},
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_version,
    help="Show the version.",
)
def fe2_command() -> None:
    """Two-scale finite elements (FE²): effective properties, material tests and two-scale runs from files."""


def main() -> NoReturn:
    """Run the command line, and end with its exit status."""
    sys.exit(run())


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status.

    Args:
        arguments: What stands behind `fe2`; that of this process by default.
    """
    leave_out_working_directory()
    with surviving_streams() as output:
        status = _run(arguments)
    given = list(sys.argv[1:] if arguments is None else arguments)
    return 1 if status == 0 and output.is_lost and _prints_results(given) else status


def _prints_results(arguments: Sequence[str]) -> bool:
    """Whether what a command found stands in no file."""
    named = {"-o", "--output"} & set(arguments)
    in_files = named or any(name in _WRITE_FILES for name in arguments[:1])
    return not in_files or bool({"--json", "--dry-run"} & set(arguments))


def _run(arguments: Sequence[str] | None) -> int:
    try:
        with told_warnings(_say):
            result = fe2_command.main(arguments, prog_name="fe2", standalone_mode=False)
        return int(result or 0)
    except click.exceptions.Exit as ending:
        return ending.exit_code
    except click.ClickException as error:
        if first_rank():
            error.show()
        return error.exit_code
    except (KeyboardInterrupt, click.exceptions.Abort):
        _say("interrupted")
        return 130
    except Fe2Error as error:
        if not (error.collective or single_rank()):
            raise  # the other ranks would wait for ever: the excepthook ends them
        _say(str(error))
        return STOPPED if isinstance(error, RunInterruptedError) else 1


def _say(text: str) -> None:
    """Print an error or a warning once, on the first rank."""
    if first_rank():
        sys.stdout.flush()
        lines = text.splitlines() or [""]
        click.echo("\n".join(f"fe2: {line}" for line in lines), err=True)
