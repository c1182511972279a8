"""The command `whowhen`. Results go to stdout, everything else to stderr.

Exit codes: 0 done - 1 internal error - 2 usage or configuration - 3 done with a warning (partial result) - 4 model or
device not available - 5 some of several inputs failed - 6 source unreadable - 130/143 interrupted (state saved).
"""

from __future__ import annotations

import errno
import io
import os
import sys
from typing import Any

from pipelines.terminal.exits import USAGE, exit_code
from streamer.errors import ConfigError, StageError, StreamerError

FULL = (errno.ENOSPC, errno.EDQUOT)
PLACES = ("-o", "--out", "-l", "--library", "-c", "--config")  # options that name a file or a folder


def say(error: BaseException, debug: bool) -> None:
    """Prints an error the way a person wants to read it; the traceback only with --debug."""
    if debug:
        import traceback

        traceback.print_exception(error)
        return
    if isinstance(error, StreamerError):
        told: BaseException = error
        if isinstance(error, StageError) and isinstance(error.__cause__, StreamerError):
            told = error.__cause__
        print(f"{type(told).__name__}: {told}", file=sys.stderr)
    elif isinstance(error, KeyboardInterrupt):
        print("Interrupted. The state is saved: the same command goes on from here.", file=sys.stderr)
    else:
        print(
            f"Internal error: {type(error).__name__}: {error}. Run again with --debug for the details.", file=sys.stderr
        )


def application() -> Any:
    """The Typer application with every command; heavy imports happen inside the commands."""
    from pipelines.commands import app

    return app


def main(argv: list[str] | None = None) -> None:
    """Entry point: runs the command line and exits with its code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in arguments or bool(os.environ.get("WHOWHEN_DEBUG"))
    arguments = [a for a in arguments if a != "--debug"]
    _open_closed()
    for stream in (sys.stdout, sys.stderr):  # a name that the terminal's encoding lacks is escaped, not fatal
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    mask = os.umask(0o077)  # what is written shows faces: files 0600, folders 0700
    try:
        _refuse_nameless(arguments)
        code = application()(args=arguments, prog_name="whowhen", standalone_mode=False)
        sys.stdout.flush()
        sys.exit(code if isinstance(code, int) else 0)
    except BrokenPipeError:
        _mute()
        sys.exit(0)
    except SystemExit as end:
        # the command-line library wraps stdout and exits with 1 where its reader has left
        sys.exit(0 if type(sys.stdout).__name__ == "PacifyFlushWrapper" else end.code)
    except (KeyboardInterrupt, StreamerError) as error:
        say(error, debug)
        sys.exit(exit_code(error))
    except Exception as error:
        if type(error).__module__.startswith(("click", "typer")):
            _usage(error)
        if isinstance(error, OSError) and error.errno in FULL:
            _mute()
            place = error.filename or "standard output"
            error = ConfigError(f"{place}: {error.strerror}. Free some disk, then run the same command again.")
        say(error, debug)
        sys.exit(exit_code(error))
    finally:
        os.umask(mask)


def _open_closed() -> None:
    """Lets standard streams that the caller has closed lead nowhere; the next opened file would take their place."""
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        if getattr(sys, name) is None:
            try:
                os.fstat(number)
            except OSError:
                os.open(os.devnull, os.O_RDWR)  # the lowest number that is free: this one
            setattr(sys, name, open(number, mode, closefd=False))  # noqa: SIM115 - stays open to the end


def _refuse_nameless(arguments: list[str]) -> None:
    """ConfigError for `-o ""`, left by an unset variable of a shell: as a path it would be the folder one is in."""
    for option, value in zip(arguments, [*arguments[1:], None], strict=True):
        name, equals, given = option.partition("=")
        if name in PLACES and (given if equals else value) == "":
            raise ConfigError(f"{name} names nothing. Name a file or a folder; . is the folder you are in.")


def _mute() -> None:
    """Sends what is still to be printed nowhere: Python would complain of it when it ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _usage(error: Exception) -> None:
    """Exits the way the command-line library means it: usage errors with 2, aborts with 130."""
    show = getattr(error, "show", None)
    if show is not None:
        show()
        sys.exit(USAGE)
    if type(error).__name__ in ("Abort", "Aborted"):
        print("Aborted.", file=sys.stderr)
        sys.exit(130)
    if type(error).__name__ == "Exit":
        sys.exit(getattr(error, "exit_code", 0))


if __name__ == "__main__":
    main()
