"""The operator's settings: environment variables with the prefix STATEFULROLLOUT_, read once at start.

What belongs to one rollout is in its StatefulRollout, never here. Durations are in seconds.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from statefulrollout.errors import InvalidSettings

PREFIX = "STATEFULROLLOUT_"

Namespace = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", max_length=63)]


class Settings(BaseSettings):
    """Everything the process is told from outside; the chart sets all that has no default."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True)

    namespace: str = Field(min_length=1, description="the operator's own namespace")
    namespaces: Annotated[tuple[Namespace, ...], NoDecode] = Field(
        (), description="the only namespaces that it looks at, separated by commas; all of them where empty"
    )
    pod_name: str = Field(min_length=1, description="the operator's own pod, through the downward API")
    lease_name: str = Field(min_length=1, description="the Lease that replicas compete for")
    lease_duration_seconds: int = Field(15, ge=3, le=300)
    lease_renew_deadline_seconds: float = Field(10, gt=0)
    lease_retry_seconds: float = Field(2, gt=0)
    webhook_secret: str = Field(min_length=1, description="the Secret with the webhook's certificates")
    webhook_certificates_kept_by: Literal["operator", "others"] = Field(
        "operator", description="operator: its Secret, created empty, is filled by us; others: its Secret is only read"
    )
    webhook_configuration: str = Field(min_length=1, description="the name of both webhook configurations that call us")
    webhook_service: str = Field(min_length=1, description="the Service through which it does")
    webhook_port: int = Field(9443, ge=0, le=65535)
    health_port: int = Field(8080, ge=0, le=65535, description="serves /healthz, /readyz and /metrics")
    workers: int = Field(8, ge=1, le=64, description="rollouts looked at side by side")
    sweep_seconds: float = Field(300, ge=5, description="how often everything is looked at, whatever was heard")
    exec_enabled: bool = Field(default=False, description="whether hooks may run commands in pods")
    log_format: Literal["json", "console"] = "json"
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    @field_validator("namespaces", mode="before")
    @classmethod
    def _split(cls, text: object) -> object:
        if not isinstance(text, str):
            return text
        return list(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))

    @model_validator(mode="after")
    def _lease_times_fit(self) -> Self:
        retry, deadline, duration = (
            self.lease_retry_seconds,
            self.lease_renew_deadline_seconds,
            self.lease_duration_seconds,
        )
        if not retry * 1.2 < deadline < duration:
            raise ValueError(
                f"{PREFIX}LEASE_RETRY_SECONDS times 1.2 must be less than {PREFIX}LEASE_RENEW_DEADLINE_SECONDS, "
                f"and that less than {PREFIX}LEASE_DURATION_SECONDS; got {retry:g}, {deadline:g}, {duration}"
            )
        return self


def load_settings() -> Settings:
    """Read the environment.

    Raises:
        InvalidSettings: names every variable that is missing or wrong, and what it must be.
    """
    try:
        return Settings()
    except ValidationError as error:
        raise InvalidSettings("; ".join(_sentences_of(error))) from error


def _sentences_of(error: ValidationError) -> list[str]:
    sentences = []
    for problem in error.errors(include_url=False):
        if not problem["loc"]:
            sentences.append(problem["msg"].removeprefix("Value error, "))
            continue
        field = str(problem["loc"][0])
        meaning = Settings.model_fields[field].description if field in Settings.model_fields else None
        variable = PREFIX + field.upper()
        what = "is not set" if problem["type"] == "missing" else f"is wrong: {problem['msg']}, got {problem['input']!r}"
        sentences.append(f"the environment variable {variable} {what}" + (f" ({meaning})" if meaning else ""))
    return sentences
