"""Following a run as it goes: long polls of its history say when to look, queries say what there is to see.

Nothing here writes to any history.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import timedelta

from temporalio.client import WorkflowFailureError
from temporalio.exceptions import CancelledError

from model.promotions import PromotionFinished, PromotionView
from model.resources.promotion import PromotionPhase
from starter.calls import Calls, Target
from starter.errors import Refused, TowpathError, WorkerSilent

#: Pause before a worker that didn't answer is asked again, in seconds.
PATIENCE = 2.0
#: How long a Promotion whose phase is final may take to close.
CLOSING = timedelta(seconds=5)


async def follow_promotion(
    calls: Calls, target: Target, on_silence: Callable[[WorkerSilent], None] | None = None
) -> AsyncIterator[PromotionView]:
    """Yields a Promotion whenever it has changed; ends after its terminal phase.

    While no worker answers it waits, and `on_silence` is told. Raises NotFound, and TowpathError when the workflow was
    ended by hand.
    """
    handle = calls.handle(target)
    events = handle.fetch_history_events(wait_new_event=True)
    last: PromotionView | None = None
    told = False
    while True:
        async with calls.explained(target):
            await events.fetch_next_page()
        over = events.next_page_token is None
        while True:
            try:
                view = await calls.query(target, "progress", PromotionView)
                break
            except WorkerSilent as silence:
                if over and last is not None:
                    view = await _ending(calls, target, last)
                    break
                if on_silence is not None and not told:
                    on_silence(silence)
                told = True
                await asyncio.sleep(PATIENCE)
        if over and (view.phase is None or not view.phase.terminal):
            view = await _ending(calls, target, view)
        if view != last:
            yield view
            last = view
        if over:
            return
        if view.phase is not None and view.phase.terminal:
            # It has only its Stage left to tell; then whoever looks at the Stage sees it there.
            await calls.closed(target, CLOSING)
            return


async def _ending(calls: Calls, target: Target, view: PromotionView) -> PromotionView:
    """The view completed by the result of the closed workflow, for which no worker is needed."""
    try:
        async with calls.explained(target):
            finished = PromotionFinished.model_validate(await calls.handle(target).result())
    except WorkflowFailureError as error:
        if isinstance(error.cause, CancelledError):
            return view.model_copy(update={"phase": PromotionPhase.ABORTED, "message": "aborted"})
        raise TowpathError(f"{target.words} was ended in Temporal, not by Towpath: {error.cause}") from error
    if finished.phase is None:
        raise Refused(finished.message)
    return view.model_copy(
        update={"phase": finished.phase, "message": finished.message, "finished_at": finished.finished_at}
    )
