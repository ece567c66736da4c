"""The life of an entity: it looks at everything whenever something has changed, and continues as new now and then."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import FailureError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from model.base import Message
    from workflows.tempo import Alarm, history_is_long

#: Pause before a look that failed is repeated.
AGAIN = timedelta(seconds=30)


class Life:
    """What wakes an entity, and for how long it goes on in one run. `title` is for log lines: `stage dev`."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._changed = True
        self.alarm = Alarm(self.touch)

    @property
    def changed(self) -> bool:
        """Whether something may have changed since the last look began."""
        return self._changed

    def touch(self) -> None:
        """Something may have changed: look."""
        self._changed = True

    async def live(
        self,
        look: Callable[[], Awaitable[None]],
        state: Message,
        over: Callable[[], bool] = lambda: False,
        may_renew: Callable[[], bool] = lambda: True,
    ) -> None:
        """Until it is over. A look that fails is repeated, an entity can't die of it.

        It continues as new with `state` at a quiet moment, where it `may_renew`: also when nothing has changed, since
        messages that are refused make the history longer too.
        """

        def due() -> bool:
            return history_is_long() and may_renew()

        while not over():
            await workflow.wait_condition(lambda: self._changed or due())
            self._changed = False
            try:
                await look()
            except FailureError as error:
                if is_cancelled_exception(error):
                    raise
                workflow.logger.error("%s: %s", self._title, error)
                self.alarm.set(workflow.now() + AGAIN)
            if due() and not self._changed and not over():
                await workflow.wait_condition(workflow.all_handlers_finished)
                if not self._changed:
                    workflow.continue_as_new(state)
