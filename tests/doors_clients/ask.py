"""Asks the doors as analysts' tools do, and says what each tool got, one JSON object a line.

Usage: ask.py HTTP_ADDRESS FLIGHT_ADDRESS POSTGRES_ADDRESS NAME TOKEN [AUTHORITY]

With AUTHORITY, a PEM file, doors speak TLS, and nobody else's certificate is trusted.
"""

import json
import ssl
import sys
import urllib.request
import warnings
from pathlib import Path

import adbc_driver_flightsql.dbapi
import psycopg
import pyarrow.flight
from adbc_driver_flightsql import DatabaseOptions as FlightOptions
from adbc_driver_manager import DatabaseOptions

http, flight, postgres, name, token = sys.argv[1:6]
authority = sys.argv[6] if len(sys.argv) > 6 else None
trusted = Path(authority).read_text() if authority else None
grpc = f"grpc+{'tls' if authority else 'tcp'}://{flight}"
ROWS = "SELECT stream_id FROM streams ORDER BY stream_id"
WRITE = "DELETE FROM stage_events"


def tell(tool, what, found):
    print(json.dumps({"tool": tool, "what": what, "found": found}, default=str))


def refused(call):
    """The words of the error that `call` raises."""
    try:
        call()
    except Exception as error:  # each tool has a kind of its own
        return str(error)
    return "nothing was refused"


def adbc():
    # It turns transactions on first, which are not to be had.
    warnings.simplefilter("ignore")
    options = {DatabaseOptions.USERNAME.value: name, DatabaseOptions.PASSWORD.value: token}
    if authority:
        options[FlightOptions.TLS_ROOT_CERTS.value] = trusted
    with adbc_driver_flightsql.dbapi.connect(grpc, db_kwargs=options) as connection:
        with connection.cursor() as cursor:
            cursor.execute(ROWS)
            tell("adbc", "rows", [row[0] for row in cursor.fetchall()])
            cursor.execute("SELECT count(*) FROM streams WHERE stream_id = $1", ("s1",))
            tell("adbc", "parameter", cursor.fetchone()[0])
        objects = connection.adbc_get_objects(depth="tables").read_all().to_pylist()
        schemas = [schema for catalog in objects for schema in catalog["catalog_db_schemas"]]
        tell("adbc", "tables", sorted(t["table_name"] for s in schemas for t in s["db_schema_tables"]))
        schema = connection.adbc_get_table_schema("streams", db_schema_filter="public")
        tell("adbc", "column", schema.field("stream_id").metadata[b"comment"].decode())
        tell("adbc", "vendor", connection.adbc_get_info()["vendor_name"])
        with connection.cursor() as cursor:
            tell("adbc", "write", refused(lambda: cursor.execute(WRITE)))
    options[DatabaseOptions.PASSWORD.value] = "wrong"
    stranger = lambda: adbc_driver_flightsql.dbapi.connect(grpc, db_kwargs=options)
    tell("adbc", "stranger", refused(stranger))
    if authority:
        options[DatabaseOptions.PASSWORD.value] = token
        del options[FlightOptions.TLS_ROOT_CERTS.value]
        tell("adbc", "untrusted", refused(stranger))


def field(number, value):
    """A text or bytes as Protocol Buffers have them."""
    value, length, size = value.encode() if isinstance(value, str) else value, b"", len(value)
    while size > 127:
        length, size = length + bytes([size & 127 | 128]), size >> 7
    return bytes([number << 3 | 2]) + length + bytes([size]) + value


def command(message, *texts):
    """A command of Flight SQL, whose fields are texts."""
    body = b"".join(field(number, text) for number, text in enumerate(texts, 1))
    wrapped = field(1, f"type.googleapis.com/arrow.flight.protocol.sql.{message}") + field(2, body)
    return pyarrow.flight.FlightDescriptor.for_command(wrapped)


def arrow():
    client = pyarrow.flight.connect(grpc, **({"tls_root_certs": trusted} if authority else {}))
    options = pyarrow.flight.FlightCallOptions(headers=[client.authenticate_basic_token(name, token)])

    def fetch(descriptor):
        info = client.get_flight_info(descriptor, options)
        table = client.do_get(info.endpoints[0].ticket, options).read_all()
        if table.schema != info.schema:
            raise AssertionError(f"{table.schema} came, {info.schema} was promised")
        return table

    table = fetch(command("CommandStatementQuery", ROWS))
    tell("pyarrow", "rows", table.column("stream_id").to_pylist())
    tables = fetch(command("CommandGetTables"))
    tell("pyarrow", "tables", sorted(tables.column("table_name").to_pylist()))
    tell("pyarrow", "write", refused(lambda: fetch(command("CommandStatementQuery", WRITE))))


def psycopg3():
    host, port = postgres.rsplit(":", 1)
    where = dict(host=host, port=port, user=name, dbname="treble", sslmode="disable")
    if authority:
        tell("psycopg", "plain", refused(lambda: psycopg.connect(**where, password=token)))
        where |= dict(sslmode="verify-full", sslrootcert=authority)
    with psycopg.connect(**where, password=token) as connection:
        rows = connection.execute(ROWS).fetchall()
        tell("psycopg", "rows", [row[0] for row in rows])
        counted = connection.execute("SELECT count(*) FROM streams WHERE stream_id = %s", ("s1",))
        tell("psycopg", "parameter", counted.fetchone()[0])
        binary = connection.cursor(binary=True)
        binary.execute("SELECT CAST(1.5 AS DOUBLE), true, CAST(7 AS BIGINT), CAST('2026-01-02' AS DATE)")
        tell("psycopg", "binary", list(binary.fetchone()))
        tables = connection.execute("SELECT tablename FROM pg_catalog.pg_tables WHERE schemaname = 'public'")
        tell("psycopg", "tables", sorted(row[0] for row in tables))
        tell("psycopg", "write", refused(lambda: connection.execute(WRITE)))
        connection.rollback()
        connection.execute("SELECT 1", prepare=True)
        tell("psycopg", "state", refused(lambda: connection.execute("COPY streams TO STDOUT")))
    tell("psycopg", "stranger", refused(lambda: psycopg.connect(**where, password="wrong")))
    if authority:
        where["sslrootcert"] = "system"
        tell("psycopg", "untrusted", refused(lambda: psycopg.connect(**where, password=token)))


def over_http():
    url = f"http{'s' if authority else ''}://{http}/v1/sql"

    def ask(token, context):
        request = urllib.request.Request(url, ROWS.encode(), {"Authorization": f"Bearer {token}"})
        with urllib.request.urlopen(request, context=context) as answer:
            return json.load(answer)

    context = ssl.create_default_context(cafile=authority) if authority else None
    tell("urllib", "rows", [row["stream_id"] for row in ask(token, context)])
    tell("urllib", "stranger", refused(lambda: ask("wrong", context)))
    if authority:
        tell("urllib", "untrusted", refused(lambda: ask(token, ssl.create_default_context())))


adbc()
arrow()
psycopg3()
over_http()
