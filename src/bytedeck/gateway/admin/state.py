"""What holds and how it goes, by the admin API: tasks, health, the configuration."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from ...config import Task, shown
from ...health import Standing
from .asked import Asked
from .shapes import ConfigTold, Doing, HealthTold, SettingTold, TaskInfo, Tasks


async def tasks(asked: Asked) -> Tasks:
    """All tasks, shipped ones first."""
    return Tasks(data=[_task(one) for one in asked.app.hub.tasks.values()])


async def task(asked: Asked) -> TaskInfo:
    """One by its name or alias. Raises UnknownTask (404)."""
    return _task(asked.app.hub.house.task(asked.names["name"]))


async def health(asked: Asked) -> HealthTold:
    """How models and upstream keys are doing."""
    app = asked.app
    found = await asyncio.to_thread(app.hub.health)  # the first look in a process reads the ledger
    about_rows = [one for one in app.hub.warnings if one not in app.hub.house.config.warnings]
    return HealthTold(
        models=_doing(found.models),
        keys=_doing(found.keys),
        running=len(app.running),
        is_closing=app.is_closing,
        ledger=about_rows,
    )


async def config(asked: Asked) -> ConfigTold:
    """The configuration that holds."""
    reloader, found = asked.app.reloader, asked.app.hub.house.config
    return ConfigTold(
        version=reloader.version,
        loaded=reloader.loaded.isoformat().replace("+00:00", "Z"),
        file=str(found.file),
        problem=reloader.problem or None,
        warnings=list(found.warnings),
        settings=[SettingTold(name=name, value=value, source=source) for name, value, source in shown(found)],
    )


async def reload(asked: Asked) -> ConfigTold:
    """Load the configuration now, changed or not."""
    await asked.app.reloader.look(is_asked=True)
    return await config(asked)


def _task(one: Task) -> TaskInfo:
    return TaskInfo(
        name=one.name,
        label=one.label,
        description=one.description,
        aliases=list(one.aliases),
        models=list(one.models),
        light=one.light,
        params=dict(one.params),
        version=one.version,
    )


def _doing(found: Mapping[str, Standing]) -> list[Doing]:
    return [
        Doing(
            name=name,
            state=one.state,
            failures=one.failures,
            attempts=one.attempts,
            error_rate=one.error_rate,
            first_token_p50=one.first_token_p50,
            first_token_p95=one.first_token_p95,
            tokens_per_second=one.tokens_per_second,
            last_failure=one.last_failure,
            failed_ago=one.failed_ago,
            again_in=one.again_in,
        )
        for name, one in sorted(found.items())
    ]
