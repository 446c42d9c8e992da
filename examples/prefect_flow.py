"""Prefect: the last days, each by a Headgate run of its own, a few at a time.

Needs `pip install headgate` beside Prefect and the environment that `Client.from_environment` reads.
"""

import asyncio
from datetime import UTC, datetime, timedelta

from prefect import flow, task

import headgate


@task(retries=2, retry_delay_seconds=60)
async def ingest(client: headgate.AsyncClient, day: datetime) -> int:
    """Bring one day into the lake; how many rows that was."""
    run = await client.runs.start("orders", window=(day, day + timedelta(days=1)), delta_column="updated_at")
    await run.wait(timeout=3600, on_progress=lambda run: print(f"{day:%d %B}: {run.state}, {run.rows:,} rows"))
    return run.rows


@flow(log_prints=True)
async def orders(since: datetime, days: int = 7) -> int:
    """Bring so many days; how many rows they had together."""
    async with headgate.AsyncClient.from_environment() as client:
        return sum(await asyncio.gather(*(ingest(client, since + timedelta(days=n)) for n in range(days))))


if __name__ == "__main__":
    asyncio.run(orders(datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=7)))
