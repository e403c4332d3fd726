"""What runs in the database have found: results to compare, and rows for files."""

from __future__ import annotations

from collections.abc import Sequence

from ddrs_core.errors import InvalidParameterError, unknown_name
from ddrs_core.runs.certify.config import as_certified, setting_title
from ddrs_core.runs.logs.columns import HEADER, LogRow, settings_text
from ddrs_core.runs.results.results import ResultSet, Source, from_certificates, titled
from ddrs_core.runs.worker import recorded_configs
from ddrs_core.smoothing import Certificate
from ddrs_core.store import CERTIFY, RunRecord, Store


def result_id(run_id: str, setting: int) -> str:
    """Names the results of one setting of a run."""
    return f"run.{run_id}.{setting}"


def find_results(store: Store, name: str) -> ResultSet:
    """The results of ``ID`` or ``ID.SETTING``, a certification run in the database; settings are
    counted from 1.

    Raises:
        DDRSError: if there is no such run or setting, or it has no certificate yet.
    """
    run_id, _, number = name.partition(".")
    run = store.run(run_id)
    if run.kind != CERTIFY:
        raise InvalidParameterError(f"Run {run.id} is a training run, which has no certificates.")
    settings = [str(i + 1) for i in range(len(run.settings))]
    if (number or "1") not in settings:
        raise unknown_name(f"setting of run {run.id}", number, settings)
    setting = int(number or 1) - 1
    found = [c.certificate for c in store.certificates(run.id, setting)]
    if not found:
        raise InvalidParameterError(f"Run {run.id} has no certificate yet.")
    return setting_results(run, setting, found)


def setting_results(run: RunRecord, setting: int, certificates: Sequence[Certificate]) -> ResultSet:
    """The results of one setting of a run, from certificates that have been read already."""
    config = as_certified(recorded_configs(run)[setting], certificates)
    several = len(run.settings) > 1
    title = f"{run.title} ({setting_title(config)})" if several else run.title
    results = from_certificates(
        certificates,
        id=result_id(run.id, setting),
        title=title,
        settings=_settings(run, setting, certificates[0]),
        source=Source.RUN,
    )
    return results if several else titled(results, title)


def recorded_log(store: Store, run: RunRecord, setting: int = 0) -> str:
    """One setting of a run as a certification log.

    Raises:
        DDRSError: if the run is gone, or its settings cannot be read.
    """
    certificates = [c.certificate for c in store.certificates(run.id) if c.setting == setting]
    if not certificates:
        return HEADER + "\n"
    settings = _settings(run, setting, certificates[0])
    lines = [LogRow(certificate, settings).to_line() for certificate in certificates]
    return "\n".join([HEADER, *lines, ""])


def _settings(run: RunRecord, setting: int, certificate: Certificate) -> dict[str, str]:
    config = recorded_configs(run)[setting]
    device_type = run.device.partition(":")[0]
    return settings_text(config, certificate.model, certificate.precision, device_type)
