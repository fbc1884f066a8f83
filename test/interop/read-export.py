#!/usr/bin/env python3
"""What AIPerf's own code makes of a result folder of ours: JSON on stdout.

    python3 read-export.py FOLDER      with the packages of aiperf-requirements.txt

  documents   path -> what `JsonExportData`, the model AIPerf writes its own export from, has after reading ours
  units       tag -> the unit in which AIPerf exports that metric; null for a tag it does not know
  plots       what `aiperf plot` finds below FOLDER/aiperf: its mode, and each run's label and metrics
"""

import json
import logging
import sys
from pathlib import Path

from aiperf.common.models import JsonMetricResult
from aiperf.common.models.export_models import JsonExportData
from aiperf.metrics.metric_registry import MetricRegistry
from aiperf.plot.core.data_loader import DataLoader
from aiperf.plot.core.mode_detector import ModeDetector

NAME = "profile_export_aiperf.json"


def unit_of(tag):
    metric = MetricRegistry.get_class_or_none(tag.removeprefix("adj_"))
    return metric and str(metric.display_unit or metric.unit)


def read(path):
    """Tags that are no field of the model are kept as they are, so their blocks are put through the model of a block."""
    export = JsonExportData.model_validate_json(path.read_bytes())
    for tag, block in (export.model_extra or {}).items():
        if isinstance(block, dict) and "unit" in block:
            setattr(export, tag, JsonMetricResult.model_validate(block))
    return export.model_dump(mode="json", exclude_none=True)


def plots(folder):
    mode, runs = ModeDetector().detect_mode([folder])
    return {
        "mode": str(mode),
        "runs": [
            {
                "label": run.metadata.variation_label,
                "model": run.metadata.model,
                "concurrency": run.metadata.concurrency,
                "metrics": {tag: block.model_dump(exclude_none=True) for tag, block in run.aggregated["metrics"].items()},
            }
            for run in DataLoader().load_multiple_runs(runs)
        ],
    }


def main():
    logging.disable(logging.CRITICAL)  # stdout is for the answer
    folder = Path(sys.argv[1])
    documents = {path.relative_to(folder).as_posix(): read(path) for path in sorted(folder.rglob(NAME))}
    tags = {tag for document in documents.values() for tag, block in document.items() if isinstance(block, dict) and "unit" in block}
    below = folder / "aiperf"
    print(json.dumps({
        "documents": documents,
        "units": {tag: unit_of(tag) for tag in sorted(tags)},
        "plots": plots(below) if below.is_dir() else None,
    }))


main()
