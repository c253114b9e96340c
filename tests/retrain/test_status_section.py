"""The job's section of the status file, held against the schema that is shipped with it."""

from __future__ import annotations

import pytest
from nightdesk_core.models.pipeline import DataError
from nightdesk_retrain.job import run
from nightdesk_retrain.parts import JobParts

from tests.exporter.test_status_schema import problems
from tests.retrain.conftest import FakePipeline


def test_what_the_job_writes_fits_the_schema_whatever_becomes_of_it(parts: JobParts, pipeline: FakePipeline) -> None:
    run(parts, trigger="manual", dry_run=True)
    assert problems(parts.status_file.read()) == []
    run(parts, trigger="manual", bootstrap=True)
    assert problems(parts.status_file.read()) == []
    pipeline.error = DataError("no candles")
    with pytest.raises(DataError):
        run(parts, trigger="schedule")
    assert parts.status_file.read()["retrain"]["decision"] == "error"
    assert problems(parts.status_file.read()) == []
