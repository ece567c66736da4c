"""`towpath`: the command line. Commands stand in `starter/commands/`, one file each, and are imported when needed."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
import traceback
from collections.abc import Sequence
from typing import Any, NoReturn

import click

from starter.errors import InvalidManifests, TowpathError
from starter.session import Session
from workflows.leaving import leave

#: The commands, in the order in which help lists them.
COMMANDS = (
    "up",
    "worker",
    "web",
    "apply",
    "create",
    "delete",
    "get",
    "promote",
    "approve",
    "reject",
    "answer",
    "verify",
    "explain",
    "freeze",
    "thaw",
    "abort",
    "refresh",
    "update",
    "logs",
    "steps",
    "backup",
    "restore",
    "config",
    "completion",
    "version",
)


class Commands(click.Group):
    """The group of all commands: imports them one by one, and says every error in one line."""

    def list_commands(self, context: click.Context) -> list[str]:
        return [name for name in COMMANDS if importlib.util.find_spec(f"starter.commands.{name}") is not None]

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if name not in self.list_commands(context):
            return None
        command: click.Command = importlib.import_module(f"starter.commands.{name}").command
        return command

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> Any:
        """Runs a command and exits: 0, 1 after an error, 2 after a wrong usage, 130 after Ctrl-C."""
        if not standalone_mode:
            return super().main(args, prog_name, complete_var, False, **extra)
        try:
            sys.exit(super().main(args, prog_name or "towpath", complete_var, False, **extra) or 0)
        except InvalidManifests as error:
            for problem in error.problems:
                click.echo(problem, err=True)
            self._fail(str(error), 1)
        except TowpathError as error:
            self._fail(str(error), 1)
        except click.exceptions.NoArgsIsHelpError as error:
            click.echo(error.format_message(), err=True)
            sys.exit(error.exit_code)
        except click.UsageError as error:
            hint = f"; see `{error.ctx.command_path} --help`" if error.ctx is not None else ""
            self._fail(error.format_message().rstrip(".") + hint, error.exit_code)
        except click.ClickException as error:
            self._fail(error.format_message(), error.exit_code)
        except (click.Abort, KeyboardInterrupt):
            sys.exit(130)
        except BrokenPipeError:
            # Whoever read has left: nothing is wrong, and there is nobody to tell.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(0)
        except Exception as error:  # the last resort: a person never sees a traceback unless asked for
            self._fail(f"{type(error).__name__}: {error} (TOWPATH_DEBUG=1 shows where)", 1)

    def _fail(self, message: str, code: int) -> NoReturn:
        if os.environ.get("TOWPATH_DEBUG"):
            traceback.print_exc()
        click.echo(f"error: {' '.join(message.split())}", err=True)
        sys.exit(code)


@click.command(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.pass_context
def cli(context: click.Context) -> None:
    """Towpath carries Freight from Stage to Stage: Kargo's manifests, run as durable Temporal workflows.

    Which Temporal server is meant, its own variables say (TEMPORAL_ADDRESS, TEMPORAL_NAMESPACE, TEMPORAL_PROFILE ...);
    without them it is the one that `towpath up` runs on this machine.

    \b
    Examples:
      towpath up                                     # a server and a worker on this machine
      towpath apply -f manifests/                    # Projects, Warehouses, Stages ...
      towpath get stages -p guestbook
      towpath promote -p guestbook --stage dev --warehouse guestbook --wait
    """
    context.ensure_object(Session)


def main() -> NoReturn:
    """The console script."""
    try:
        cli()
    except SystemExit as ended:
        leave(ended.code if isinstance(ended.code, int) else int(ended.code is not None))
    leave(0)
