"""Settings of evaluations."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from santral.config.section import Section


class EvalsConfig(Section):
    """Evaluations: where suites stand, and how long answers are taken again."""

    folder: Path = Field(
        default=Path("evals"),
        description="Folder of suites (*.toml) that API and console may start; relative to "
        "santral.toml. The command line runs a suite wherever it stands.",
    )
    keep_answers_days: int = Field(
        default=30,
        ge=1,
        le=3650,
        description="How long an answer that was paid for is taken again by runs that ask the very "
        "same; runs keep their own samples until they are deleted.",
    )
