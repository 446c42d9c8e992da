"""Airflow: yesterday's orders every day. The data interval of the DAG run is the window of the Headgate run.

Workers need `pip install headgate` and the environment that `Client.from_environment` reads.
"""

from datetime import datetime, timedelta

from airflow.sdk import dag, get_current_context, task
from airflow.timetables.interval import CronDataIntervalTimetable

import headgate


@task(retries=2, retry_delay=timedelta(minutes=1))
def ingest(flow: str) -> int:
    """Bring the interval into the lake; how many rows that was."""
    context = get_current_context()
    window = (context["data_interval_start"], context["data_interval_end"])
    key = f"airflow {context['run_id']} {context['ti'].try_number}"  # a try that is repeated finds the run it started
    with headgate.Client.from_environment() as client:
        run = client.runs.start(flow, window=window, delta_column="updated_at", idempotency_key=key)
        return run.wait(timeout=3600).rows


@dag(schedule=CronDataIntervalTimetable("@daily", timezone="UTC"), start_date=datetime(2024, 3, 1), catchup=False)
def orders() -> None:
    """One task a day; a day that is cleared is read again, and replaces what it had brought."""
    ingest("orders")


orders_by_day = orders()
