"""Exit codes of the command `whowhen`, and the error each stands for."""

from __future__ import annotations

from streamer.errors import ConfigError, ModelError, SourceError, StageError, StoreError, StreamerError

DONE, INTERNAL, USAGE, WARNING, MODEL, SOME_FAILED, UNREADABLE = 0, 1, 2, 3, 4, 5, 6


def exit_code(error: BaseException) -> int:
    """The exit code an error stands for."""
    if isinstance(error, StageError) and isinstance(error.__cause__, StreamerError):
        return exit_code(error.__cause__)
    from streamer.reports.atomic import ReportError

    kinds = ((SourceError, UNREADABLE), (ModelError, MODEL), ((ConfigError, StoreError, ReportError), USAGE))
    for kind, code in kinds:
        if isinstance(error, kind):
            return code
    return 130 if isinstance(error, KeyboardInterrupt) else INTERNAL
