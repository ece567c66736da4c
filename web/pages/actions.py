"""What is done from the page: first shown in a dialog, then done, with the engine's sentence where it refuses."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response

from model.base import Json
from model.freight_choice import ArtifactKind, Choice
from model.promotions import StepRecord
from model.questions import Action as Says
from model.questions import QuestionKind
from model.roles import Verb, bound_to
from model.steps import StepStatus
from starter.client import Towpath
from starter.errors import InvalidInput, NotFound, Refused, TowpathError
from web.access.guard import permit
from web.access.identity import Identity, IdentityKind
from web.board.snapshot import Snapshot
from web.pages import states
from web.pages.answers import fields, values
from web.pages.artifacts import artifacts, changes
from web.pages.cards import request_origin, requests
from web.pages.discoveries import discoveries
from web.pages.reach import Where, reach, verdict
from web.pages.rendering import path, render
from web.pages.site import Site, aliases_of, found, fragment, newest_first, now, status_of
from web.pages.views import downstream

Resource = Mapping[str, Json]

#: Pieces of Freight to choose from.
_PICKS = 60
#: How long a reason may be.
_REASON = 500
_KINDS: dict[str, ArtifactKind] = {"git": "git", "image": "image", "chart": "chart", "artifact": "artifact"}


@dataclass(frozen=True)
class Done:
    """What was done, and where to see it."""

    message: str
    link: str = ""


@dataclass
class Call:
    """One request: about what, by whom, and how things are."""

    identity: Identity

    site: Site
    snapshot: Snapshot
    #: Of the path: `stage`, `name`, …
    about: dict[str, str]
    form: Mapping[str, str]
    request: Request
    towpath: Towpath

    @property
    def project(self) -> str:
        return self.snapshot.project

    @property
    def stage(self) -> str:
        """The Stage that it is about; empty: none."""
        return self.about.get("stage") or self.form.get("stage", "")


@dataclass(frozen=True)
class Action:
    """One thing to do. `of`: where in the path; `show` gives the dialog's values."""

    name: str
    #: Below the Project: `stages/{stage}/promote`.
    path: str
    verb: Verb
    do: Callable[[Call], Awaitable[Done]]
    template: str = ""
    show: Callable[[Call], Awaitable[dict[str, object]]] | None = None
    #: Kind of what is written to, for the board.
    kind: str = ""


class Actions:
    """The endpoints."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def dialog(self, action: Action) -> Callable[[Request], Awaitable[Response]]:
        """The endpoint that asks whether it is meant."""

        async def endpoint(request: Request) -> Response:
            call = await self._call(request, action, Verb.VIEW, dict(request.query_params))
            return fragment(await _dialog(action, call))

        return endpoint

    def post(self, action: Action) -> Callable[[Request], Awaitable[Response]]:
        """The endpoint that does it."""

        async def endpoint(request: Request) -> Response:
            form = _texts(await request.form(max_files=0, max_fields=100))
            call = await self._call(request, action, None, form)
            try:
                done = await action.do(call)
            except TowpathError as error:
                if not action.template:
                    return fragment("", status_of(error), done={"message": str(error), "link": ""})
                return fragment(await _dialog(action, call, str(error)), status_of(error))
            name = call.about.get("name") or call.stage
            self._site.boards.wrote(call.project, action.kind, name if action.kind else "")
            headers = {"HX-Trigger": json.dumps({"done": {"message": done.message, "link": done.link}})}
            return Response(status_code=204, headers=headers)

        return endpoint

    async def _call(self, request: Request, action: Action, verb: Verb | None, form: Mapping[str, str]) -> Call:
        """Who may not even see the Project hears no more than that."""
        about = {key: str(value) for key, value in request.path_params.items()}
        project, stage = about["project"], _stage_of(action, about, form)
        identity = await permit(request, verb or action.verb, project, "" if verb is Verb.VIEW else stage)
        snapshot = await self._site.boards.snapshot(project)
        return Call(identity, self._site, snapshot, about, form, request, self._site.towpath.acting(identity.actor))


def _stage_of(action: Action, about: Mapping[str, str], form: Mapping[str, str]) -> str:
    """Of which Stage one must be a promoter."""
    if "stage" in about:
        return about["stage"]
    if action.kind == "Promotion":
        return about["name"].rsplit(".", 2)[0]
    return form.get("stage", "") if action.name == "approve" else ""


def _texts(form: FormData) -> dict[str, str]:
    return {key: value for key, value in form.items() if isinstance(value, str)}


async def _dialog(action: Action, call: Call, error: str = "") -> str:
    values = await action.show(call) if action.show else {}
    return render(
        f"dialogs/{action.template or action.name}.html",
        project=call.project,
        stage=call.stage,
        name=call.about.get("name", ""),
        form=call.form,
        error=error,
        url=call.request.url.path,
        **values,
    )


# Promote


def _chosen(call: Call) -> Resource | None:
    """The Freight that the form or the address names, by name or alias."""
    wanted = call.form.get("freight", "")
    if not wanted:
        return None
    if wanted in call.snapshot.freight:
        return call.snapshot.freight[wanted]
    fitting = [freight for freight in call.snapshot.freight.values() if freight.get("alias") == wanted]
    if len(fitting) != 1:
        raise NotFound(f"Freight {wanted} not found in Project {call.project}")
    return fitting[0]


def _name(freight: Resource) -> str:
    return str((freight.get("metadata") or {}).get("name", ""))


async def _show_promote(call: Call) -> dict[str, object]:
    stage = found("Stage", call.stage, call.project, call.snapshot.stages)
    if states.control_flow(stage):
        raise Refused(f"Stage {call.stage} is a control-flow Stage: promote to the Stages downstream of it")
    origins = {request_origin(request) for request in requests(stage)}
    picks: list[tuple[str, str, Resource]] = []
    for name in newest_first(call.snapshot.freight):
        freight = call.snapshot.freight[name]
        if (freight.get("origin") or {}).get("name") in origins:
            picks.append((name, str(freight.get("alias") or name[:7]), freight))
    chosen = _chosen(call)
    judged = [
        (name, alias, verdict(stage, freight, call.snapshot.stages, now()), artifacts(freight)[:3], freight)
        for name, alias, freight in picks[:_PICKS]
        if freight is not chosen
    ]
    if chosen is not None:
        name = _name(chosen)
        judged.insert(
            0,
            (
                name,
                str(chosen.get("alias") or name[:7]),
                verdict(stage, chosen, call.snapshot.stages, now()),
                artifacts(chosen)[:3],
                chosen,
            ),
        )
    else:
        chosen = next((freight for _, _, found_, _, freight in judged if found_.where is Where.OPEN), None)
    judged.sort(key=lambda pick: (pick[4] is not chosen, pick[2].where is not Where.OPEN))
    return {
        "picks": [pick[:4] for pick in judged],
        "chosen": _name(chosen) if chosen else "",
        "closed": states.closed_window(stage),
        "waiting": states.waiting(stage),
        "frozen": [states.freeze_sentence(freeze) for freeze in states.freezes(stage)],
        **_difference(call, stage, chosen),
    }


def _difference(call: Call, stage: Resource, chosen: Resource | None) -> dict[str, object]:
    """What promoting would change, and whether it may be."""
    if chosen is None:
        return {"changes": [], "verdict": None, "before": "", "after": "", "running": "", "preview": ""}
    origin = (chosen.get("origin") or {}).get("name")
    aliases = aliases_of(call.snapshot)
    present = next(
        (held for held in states.current_pieces(stage) if (held.get("origin") or {}).get("name") == origin), {}
    )
    name = _name(chosen)
    return {
        "changes": changes(artifacts(present), artifacts(chosen)),
        "verdict": verdict(stage, chosen, call.snapshot.stages, now()),
        "before": aliases.get(str(present.get("name", "")), "") or str(present.get("name", ""))[:7],
        "after": aliases.get(name) or name[:7],
        "running": str(((stage.get("status") or {}).get("currentPromotion") or {}).get("name") or ""),
        "preview": path("projects", call.project, "stages", call.stage, "preview", freight=name),
    }


async def _promote(call: Call) -> Done:
    freight = _chosen(call)
    if freight is None:
        raise InvalidInput("choose the Freight to promote")
    override = call.form.get("override", "").strip()[:_REASON]
    if override:
        await permit(call.request, Verb.OVERRIDE, call.project, call.stage)
    admission = await call.towpath.promote(call.project, call.stage, freight=_name(freight), override_window=override)
    if not admission.accepted:
        raise Refused(admission.reason)
    alias = freight.get("alias") or _name(freight)[:7]
    return Done(f"{alias} goes to {call.stage}.", path("projects", call.project, "promotions", admission.name))


async def _show_downstream(call: Call) -> dict[str, object]:
    found("Stage", call.stage, call.project, call.snapshot.stages)
    targets = downstream(call.stage, call.snapshot.stages)
    stages = call.snapshot.stages
    picks = []
    for name in newest_first(call.snapshot.freight)[:_PICKS]:
        freight = call.snapshot.freight[name]
        verdicts = reach(freight, {target: stages[target] for target in targets}, now())
        steps = {target: found_ for target, found_ in verdicts.items() if not states.control_flow(stages[target])}
        open_to = all(found_.where in (Where.OPEN, Where.HERE, Where.COMING) for found_ in steps.values()) and bool(
            steps
        )
        why = next(
            (found_.reason for found_ in steps.values() if found_.where in (Where.CLOSED, Where.SOON, Where.FOREIGN)),
            "",
        )
        picks.append((name, str(freight.get("alias") or name[:7]), open_to, why, artifacts(freight)[:3]))
    chosen = _chosen(call)
    picked = _name(chosen) if chosen else next((pick[0] for pick in picks if pick[2]), "")
    picks.sort(key=lambda pick: (pick[0] != picked, not pick[2]))
    return {"targets": targets, "picks": picks, "chosen": picked}


async def _promote_downstream(call: Call) -> Done:
    freight = _chosen(call)
    if freight is None:
        raise InvalidInput("choose the Freight to promote")
    for target in downstream(call.stage, call.snapshot.stages):
        if not states.control_flow(call.snapshot.stages[target]):
            await permit(call.request, Verb.PROMOTE, call.project, target)
    admission = await call.towpath.promote_downstream(call.project, call.stage, freight=_name(freight))
    if not admission.accepted:
        raise Refused(admission.reason)
    alias = freight.get("alias") or _name(freight)[:7]
    count = len(admission.promotions)
    notes = f" {'; '.join(admission.notes)}." if admission.notes else ""
    return Done(
        f"{alias} goes to {count} Stage{'' if count == 1 else 's'} downstream of {call.stage}.{notes}",
        path("projects", call.project, "promotions"),
    )


async def _show_approve(call: Call) -> dict[str, object]:
    freight = found("Freight", call.about["name"], call.project, call.snapshot.freight)
    verdicts = reach(freight, call.snapshot.stages, now())
    return {
        "alias": freight.get("alias") or call.about["name"][:7],
        "stages": [
            (stage, found_)
            for stage, found_ in verdicts.items()
            if found_.where is not Where.FOREIGN and not found_.approved
        ],
    }


async def _approve(call: Call) -> Done:
    stage = call.form.get("stage", "")
    if not stage:
        raise InvalidInput("choose the Stage for which it is approved")
    outcome = await call.towpath.approve(call.project, stage, call.about["name"])
    return Done(outcome.message or f"Approved for {stage}.")


# A Stage


async def _refresh_stage(call: Call) -> Done:
    outcome = await call.towpath.refresh_stage(call.project, call.stage)
    return Done(outcome.message or f"Stage {call.stage} looks at its health now.")


async def _verify(call: Call) -> Done:
    outcome = await call.towpath.verify(call.project, call.stage)
    return Done(outcome.message or f"What {call.stage} holds is verified again.")


async def _abort_verification(call: Call) -> Done:
    outcome = await call.towpath.abort_verification(call.project, call.stage, call.form.get("reason", "")[:_REASON])
    return Done(outcome.message or f"The verification in {call.stage} is being aborted.")


async def _freeze(call: Call) -> Done:
    reason = call.form.get("reason", "").strip()[:_REASON]
    if not reason:
        raise InvalidInput("say why: whoever finds it frozen will want to know")
    outcome = await call.towpath.freeze(reason, call.project, call.stage)
    return Done(outcome.message or "Frozen: nothing new starts until it is thawed.")


async def _thaw(call: Call) -> Done:
    outcome = await call.towpath.thaw(call.project, call.stage)
    return Done(outcome.message or "Thawed.")


async def _show_scope(call: Call) -> dict[str, object]:
    return {"scope": f"Stage {call.stage}" if call.stage else f"Project {call.project}"}


# Runs


async def _abort(call: Call) -> Done:
    outcome = await call.towpath.abort_promotion(
        call.project, call.about["name"], call.form.get("reason", "")[:_REASON]
    )
    return Done(outcome.message)


async def _rerun(call: Call) -> Done:
    again = call.form.get("from") == "failed"
    admission = await call.towpath.promote_again(call.project, call.about["name"], from_failed_step=again)
    if not admission.accepted:
        raise Refused(admission.reason)
    return Done("It runs again.", path("projects", call.project, "promotions", admission.name))


async def _question(call: Call) -> StepRecord:
    """The step that waits for people. Raises Refused."""
    view = await call.towpath.promotion_view(call.project, call.about["name"])
    asking = [step for step in view.steps if step.question is not None and step.status is StepStatus.RUNNING]
    wanted = call.form.get("step", "")
    found_ = next((step for step in asking if wanted in ("", step.alias)), None)
    if found_ is None:
        raise Refused(f"no step of Promotion {call.about['name']} waits for an answer")
    return found_


async def _show_answer(call: Call) -> dict[str, object]:
    step = await _question(call)
    assert step.question is not None
    return {"alias": step.alias, "question": step.question, "fields": fields(step.question)}


async def _answer(call: Call) -> Done:
    step = await _question(call)
    assert step.question is not None
    asks_values = step.question.kind is QuestionKind.INPUT
    said = {"approve": Says.APPROVE, "reject": Says.REJECT}.get(call.form.get("action", ""))
    if said is None and not asks_values:
        raise InvalidInput("approve or reject")
    known = call.identity.claims
    claims = {"email": [known.email], "sub": [known.subject], "groups": sorted(known.groups)}
    # Only who came by OpenID Connect has roles by claims; the admin is known by that name.
    by_claims = call.identity.kind is IdentityKind.USER
    roles = await call.request.state.access.roster.roles(call.project) if by_claims else []
    await call.towpath.answer_promotion(
        call.project,
        call.about["name"],
        Says.INPUT if asks_values or said is None else said,
        step=step.alias,
        message=call.form.get("message", "")[:_REASON],
        values=values(step.question, call.form) if asks_values else None,
        claims={name: [value for value in listed if value] for name, listed in claims.items() if any(listed)},
        roles=[role.name for role in roles if any(bound_to(known, [role], call.project))],
    )
    return Done("Answered.")


# Warehouses and Freight


async def _refresh_warehouse(call: Call) -> Done:
    outcome = await call.towpath.refresh_warehouse(call.project, call.about["name"])
    return Done(outcome.message or f"Warehouse {call.about['name']} looks for new artifacts now.")


async def _show_assemble(call: Call) -> dict[str, object]:
    warehouse = found("Warehouse", call.about["name"], call.project, call.snapshot.warehouses)
    return {"found": discoveries(warehouse, call.snapshot.freight.values(), aliases_of(call.snapshot))}


async def _assemble(call: Call) -> Done:
    shown = await _show_assemble(call)
    listed = shown["found"]
    assert isinstance(listed, list)
    choices = [
        Choice(kind=_KINDS[entry.kind], of=entry.of, version=call.form.get(f"pick-{place}", ""))
        for place, entry in enumerate(listed)
        if call.form.get(f"pick-{place}")
    ]
    created = await call.towpath.create_freight(
        call.project, call.about["name"], choices, call.form.get("alias", "").strip()
    )
    return Done(
        f"Freight {created.alias or created.name[:7]} is there.",
        path("projects", call.project, "freight", created.name),
    )


async def _show_alias(call: Call) -> dict[str, object]:
    freight = found("Freight", call.about["name"], call.project, call.snapshot.freight)
    return {"alias": call.form.get("alias") or freight.get("alias") or ""}


async def _alias(call: Call) -> Done:
    alias = call.form.get("alias", "").strip()
    outcome = await call.towpath.set_alias(call.project, alias, call.about["name"])
    return Done(outcome.message or f"It is called {alias} now.")


ACTIONS = (
    Action("promote", "stages/{stage}/promote", Verb.PROMOTE, _promote, "promote", _show_promote, "Stage"),
    Action(
        "downstream", "stages/{stage}/downstream", Verb.PROMOTE, _promote_downstream, "downstream", _show_downstream
    ),
    Action("refresh", "stages/{stage}/refresh", Verb.REFRESH, _refresh_stage, kind="Stage"),
    Action("verify", "stages/{stage}/verify", Verb.VERIFY, _verify, "verify", kind="Stage"),
    Action(
        "abort-verification",
        "stages/{stage}/abort-verification",
        Verb.VERIFY,
        _abort_verification,
        "abort",
        _show_scope,
        "Stage",
    ),
    Action("freeze", "stages/{stage}/freeze", Verb.FREEZE, _freeze, "freeze", _show_scope, "Stage"),
    Action("thaw", "stages/{stage}/thaw", Verb.FREEZE, _thaw, "thaw", _show_scope, "Stage"),
    Action("freeze", "freeze", Verb.FREEZE, _freeze, "freeze", _show_scope),
    Action("thaw", "thaw", Verb.FREEZE, _thaw, "thaw", _show_scope),
    Action("abort", "promotions/{name}/abort", Verb.ABORT, _abort, "abort", _show_scope, "Promotion"),
    Action("rerun", "promotions/{name}/rerun", Verb.PROMOTE, _rerun, "rerun", None, "Promotion"),
    Action("answer", "promotions/{name}/answer", Verb.APPROVE, _answer, "answer", _show_answer, "Promotion"),
    Action("refresh", "warehouses/{name}/refresh", Verb.REFRESH, _refresh_warehouse, kind="Warehouse"),
    Action("assemble", "warehouses/{name}/assemble", Verb.EDIT, _assemble, "assemble", _show_assemble, "Warehouse"),
    Action("approve", "freight/{name}/approve", Verb.APPROVE, _approve, "approve", _show_approve),
    Action("alias", "freight/{name}/alias", Verb.EDIT, _alias, "alias", _show_alias),
)
