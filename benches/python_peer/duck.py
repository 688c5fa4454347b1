"""Answers questions about a table's Parquet files with DuckDB, one line each, and says how long that took.

Usage: duck.py FOLDER
"""

import json
import sys
import time

import duckdb

database = duckdb.connect()
database.execute("SET TimeZone = 'UTC'")
database.read_parquet(f"{sys.argv[1]}/event_date=*/*.parquet", hive_partitioning=True).create_view("stage_events")
for question in sys.stdin:
    began = time.perf_counter()
    rows = database.execute(question).fetchall()
    print(json.dumps({"seconds": time.perf_counter() - began, "rows": len(rows)}), flush=True)
