"""``segue``: the commands and the one place where errors become exit codes."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable, Sequence

import typer

from cli import cache_commands, doctor, export, plan, run, settings, status
from cli.context import print_error
from cli.exits import Exit, report_crash, report_error
from cli.money import breakeven, catalogue, compare, decide, estimate, ledger, prices
from cli.options import ENGINE_OPTIONS, OUTPUT_OPTIONS, PRICE_OPTIONS, WORK_OPTIONS, JobOption, with_job_options
from cli.queue import coordinator, emulate, follow, jobs, logs, orders, submit, up, worker, workers
from core.conditions import condition_of
from core.errors import SegueError
from core.version import VERSION
from pipeline.stages import declared_options

#: What typer makes of a KeyboardInterrupt: 128 and the number of SIGINT.
_TYPER_INTERRUPTED = 130
#: What typer leaves with when it knows no completion for the shell, or cannot tell which shell it is.
_TYPER_REFUSED = 1

_HELP = (
    "Media in, localized subtitles out; resumable at every segment.\n\n"
    "[bold]Start here:[/bold]  segue run talk.mp4 --to es,ja\n\n"
    "[bold]With a queue:[/bold]  segue up   and elsewhere   segue submit talk.mp4 --to es,ja --watch\n\n"
    "Whatever stops it, the same command again continues from the finished segments and pays for nothing twice. "
    "Settings come from flags, then SEGUE_* variables, then segue.toml in ~/.config/segue, then (harmless ones) "
    "segue.toml in this folder; 'segue settings' lists them and 'segue doctor' checks this machine.\n\n"
    "Exit codes: 0 done, 2 bad usage, 3 finished with something failed or partial, 75 interrupted but resumable."
)
_HERE, _QUEUE, _FLEET, _MONEY, _CARE = "On this machine", "Queue", "Fleet", "Money", "Care"


def make_app(stage_options: Sequence[JobOption] = ()) -> typer.Typer:
    """All commands; those about a job also take ``stage_options``, the settings that its stages declare."""
    work, outputs = (*WORK_OPTIONS, *stage_options), OUTPUT_OPTIONS
    commands: list[tuple[str, str, Callable[..., int | None]]] = [
        (_HERE, "run", with_job_options(run.run_command, (*work, *outputs, *PRICE_OPTIONS))),
        (_HERE, "plan", with_job_options(plan.plan_command, work)),
        (_HERE, "status", status.status_command),
        (_HERE, "export", export.export_command),
        (_QUEUE, "submit", with_job_options(submit.submit_command, (*work, *outputs))),
        (_QUEUE, "jobs", jobs.jobs_command),
        (_QUEUE, "watch", follow.watch_command),
        (_QUEUE, "wait", follow.wait_command),
        (_QUEUE, "cancel", orders.cancel_command),
        (_QUEUE, "retry", orders.retry_command),
        (_QUEUE, "reprioritise", orders.reprioritise_command),
        (_QUEUE, "logs", logs.logs_command),
        (_FLEET, "up", up.up_command),
        (_FLEET, "coordinator", coordinator.coordinator_command),
        (_FLEET, "worker", worker.worker_command),
        (_FLEET, "workers", workers.workers_command),
        (_FLEET, "emulate-metadata", emulate.emulate_command),
        (_MONEY, "estimate", with_job_options(estimate.estimate_command, (*work, *PRICE_OPTIONS))),
        (_MONEY, "compare", compare.compare_command),
        (_MONEY, "catalogue", with_job_options(catalogue.catalogue_command, (*ENGINE_OPTIONS, *PRICE_OPTIONS))),
        (_MONEY, "breakeven", breakeven.breakeven_command),
        (_MONEY, "decide", decide.decide_command),
        (_CARE, "doctor", doctor.doctor_command),
        (_CARE, "settings", settings.settings_command),
    ]
    made = typer.Typer(
        name="segue",
        no_args_is_help=True,
        add_completion=True,
        rich_markup_mode="rich",
        pretty_exceptions_enable=False,
        help=_HELP,
        callback=_options,
    )
    for panel, name, command in commands:
        made.command(name, rich_help_panel=panel)(command)
    made.add_typer(ledger.app, name="ledger", rich_help_panel=_MONEY)
    made.add_typer(prices.app, name="prices", rich_help_panel=_MONEY)
    made.add_typer(cache_commands.app, name="cache", rich_help_panel=_CARE)
    return made


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"segue {VERSION}")
        raise typer.Exit


def _options(
    version: bool = typer.Option(
        False, "--version", callback=_print_version, is_eager=True, help="Print the version and leave."
    ),
) -> None:
    """Options before the command."""


app = make_app([JobOption(each.name, each.type, each.help, hidden=each.hidden) for each in declared_options()])


def main() -> None:
    """Entry point: runs the command and leaves with its exit code, never with a traceback."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A name of any bytes, or a terminal that knows no Japanese, must not end in a traceback.
        sys.stdout.reconfigure(errors="backslashreplace")
    code: int = Exit.DONE
    try:
        code = _run()
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError as error:
        # Python must not find out again on its way out. A reader that has left wants no more; a full disk is said.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError) and (condition := condition_of(error)) is not None:
            code = report_error(condition, as_json=False)
    sys.exit(code)


def _run() -> int:
    as_json = "--json" in sys.argv
    try:
        result = app(standalone_mode=False)
    except SegueError as error:
        return report_error(error, as_json=as_json)
    except typer.Exit as leaving:
        return leaving.exit_code
    except (KeyboardInterrupt, typer.Abort):
        result = _TYPER_INTERRUPTED
    except SystemExit as leaving:
        # Typer's own word for a reader that has left (segue status | head): nothing went wrong.
        return Exit.DONE if leaving.code in (None, Exit.DONE, Exit.CRASH) else Exit.USAGE
    except Exception as error:  # noqa: BLE001 - the last resort: a person must not be shown a traceback
        if hasattr(error, "show") and hasattr(error, "exit_code"):
            error.show()
            if as_json:
                print_error(str(getattr(error, "message", error)), "see --help")
            return int(error.exit_code)
        if (condition := condition_of(error)) is not None:
            return report_error(condition, as_json=as_json)
        if as_json:
            print_error(f"this is a defect in Segue: {type(error).__name__}: {error}", "please report it")
        return report_crash(error)
    if result == _TYPER_INTERRUPTED:
        if as_json:
            print_error("interrupted", "the same command continues")
        print("segue: interrupted; the same command continues", file=sys.stderr)
        return Exit.INTERRUPTED
    if result == _TYPER_REFUSED:
        return Exit.USAGE
    return result if isinstance(result, int) else Exit.DONE


if __name__ == "__main__":
    main()
