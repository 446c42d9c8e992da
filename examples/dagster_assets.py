"""Dagster: a table of the lake as an asset by day. A partition's window is the window of the Headgate run.

Needs `pip install headgate` beside Dagster and the environment that `Client.from_environment` reads; then
`dagster dev -f dagster_assets.py`. A partition that is materialized again replaces what it had brought.
"""

import dagster as dg

import headgate

DAYS = dg.DailyPartitionsDefinition(start_date="2024-03-01")


@dg.asset(partitions_def=DAYS, retry_policy=dg.RetryPolicy(max_retries=2, delay=60))
def orders(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
    """The orders that changed on a day."""
    day = context.partition_time_window
    key = f"dagster {context.run_id} {context.retry_number}"  # a try that is repeated finds the run it started
    with headgate.Client.from_environment() as client:
        run = client.runs.start("orders", window=(day.start, day.end), delta_column="updated_at", idempotency_key=key)
        for event in run.events():
            if event.name == "log":
                context.log.info(event.data["text"])
        run.wait(timeout=60)  # raises RunFailed, which fails the step with the run's reasons
    return dg.MaterializeResult(metadata={"headgate run": run.id, "dagster/row_count": run.rows})


defs = dg.Definitions(assets=[orders])
