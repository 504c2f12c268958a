"""Many looks on many photos, on this machine or on Ray. Needs the extra `catalogue`.

    from makeup_sdk.catalogue import CatalogueOptions, run_catalogue

    summary = run_catalogue("photos/", "looks/", "made-up/", CatalogueOptions(workers=2))

Each photo is decoded and analysed once for all looks. A killed run continues when it is started
again. `made-up/report.parquet` has one row per pair of photo and look.
"""

try:
    import fsspec  # noqa: F401
    import pyarrow  # noqa: F401
except ImportError as error:
    raise ImportError(
        f"makeup_sdk.catalogue needs pyarrow and fsspec ({error}); run: pip install '.[catalogue]'"
    ) from error

from makeup_sdk.catalogue.report import REPORT_SCHEMA, Status
from makeup_sdk.catalogue.run import (
    CatalogueEstimate,
    CatalogueOptions,
    CatalogueProgress,
    CatalogueSummary,
    estimate_catalogue,
    run_catalogue,
)

__all__ = [
    "REPORT_SCHEMA",
    "CatalogueEstimate",
    "CatalogueOptions",
    "CatalogueProgress",
    "CatalogueSummary",
    "Status",
    "estimate_catalogue",
    "run_catalogue",
]
