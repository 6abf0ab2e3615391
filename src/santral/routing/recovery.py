"""What a route does about failures, made from its settings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from msgspec.structs import replace

from santral.config.failure import HedgeConfig, LastResortConfig
from santral.config.routes import RouteConfig
from santral.config.upstreams import DeploymentConfig
from santral.routing.retry import CLASSES, RetrySettings
from santral.routing.route import Deployment, HedgeSettings, Recovery


def retry_settings(settings: DeploymentConfig) -> RetrySettings:
    """Return how often and after which pauses a deployment is asked again."""
    return RetrySettings(
        retries=settings.retries,
        backoff_s=settings.backoff_s,
        max_backoff_s=settings.max_backoff_s,
    )


def with_retries(
    deployments: Mapping[str, Deployment], retries: int | None
) -> Mapping[str, Deployment]:
    """Return the deployments with the retries of a route in place of their own."""
    if retries is None:
        return deployments
    return {
        name: replace(deployment, retry=replace(deployment.retry, retries=retries))
        for name, deployment in deployments.items()
    }


def compile_recovery(settings: RouteConfig, deployments: Mapping[str, Deployment]) -> Recovery:
    """Return what a route does about failures; ``deployments`` are as this route asks them."""
    resort = settings.last_resort or LastResortConfig.model_construct(message=None, deployment=None)
    return Recovery(
        detours={
            name: tuple(_named(names, settings, deployments))
            for name in CLASSES
            if (names := getattr(settings, f"on_{name}")) is not None
        },
        deadline_s=settings.deadline_s,
        hedge=None if settings.hedge is None else _hedge(settings.hedge),
        last_resort=None if resort.deployment is None else deployments[resort.deployment],
        messages=_messages(resort),
        early_end=settings.early_end,
    )


def _named(
    names: list[str], settings: RouteConfig, deployments: Mapping[str, Deployment]
) -> Iterator[Deployment]:
    """Yield the deployments that names of deployments and rungs stand for, each once."""
    rungs = {rung.name: rung for rung in settings.ladder if rung.name}
    members = [
        member
        for name in names
        for member in (rungs[name].deployments if name in rungs else (name,))
    ]
    for name in dict.fromkeys(members):
        yield deployments[name]


def _hedge(settings: HedgeConfig) -> HedgeSettings:
    after = settings.after
    return HedgeSettings(
        after_s=None if isinstance(after, str) else after,
        max_extra_share=settings.max_extra_share,
    )


def _messages(resort: LastResortConfig) -> Mapping[str, str]:
    message = resort.message
    if not message:
        return {}
    return {"": message} if isinstance(message, str) else {str(k): v for k, v in message.items()}
