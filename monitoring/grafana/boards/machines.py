"""Infrastructure: are the machines fine?"""

from frame import Board
from panel import limits, lines, q, quantiles

DISKS = 'fstype!~"tmpfs|overlay"'


def board():
    made = Board("treble-machines", "Infrastructure", "Are the machines, the processes and the ways between them fine?")
    load = limits("resource_percent", "resource_percent_critical")
    made.row(
        "Machines",
        lines("Processors", "Share of the processors' time that is used.", "percent",
              q('system_cpu_usage_percent{cluster=~"$cluster",instance=~"$instance"}', "{{instance}}"), steps=load, highest=100),
        lines("Memory", "Share of the memory that is not available.", "percent",
              q("system_memory_usage_percent{@all}", "{{instance}}"), steps=load, highest=100),
        lines("Disks", "Share of the fullest disk that is used.", "percent",
              q('system_disk_usage_percent{cluster=~"$cluster",instance=~"$instance"}', "{{instance}}"), steps=load, highest=100),
        lines("Disk space in a day", "Space that will be left in 24 hours if disks fill as in the last 6.", "bytes",
              q(f"min by (instance, mountpoint) (predict_linear(node_filesystem_avail_bytes{{@all,{DISKS}}}[6h], 24 * 3600))", "{{instance}} {{mountpoint}}"),
              steps=[(None, "red"), (0, "green")], lowest=None),
        lines("Network", "Bytes in and out, loopback left out.", "Bps",
              q('sum by (instance) (rate(node_network_receive_bytes_total{@all,device!="lo"}[$__rate_interval]))', "in: {{instance}}"),
              q('sum by (instance) (rate(node_network_transmit_bytes_total{@all,device!="lo"}[$__rate_interval]))', "out: {{instance}}")),
        lines("Waiting for disks", "Share of the time in which some process waited for a disk.", "percentunit",
              q('avg by (instance) (rate(node_cpu_seconds_total{@all,mode="iowait"}[$__rate_interval]))', "{{instance}}")),
    )
    made.row(
        "Processes",
        lines("Processor time", "Processors that each process keeps busy.", "short",
              q('sum by (component, instance) (rate(process_cpu_seconds_total{@all,component!=""}[$__rate_interval]))', "{{component}} {{instance}}")),
        lines("Memory of processes", "Memory that each process holds.", "bytes",
              q('max by (component, instance) (process_resident_memory_bytes{@all,component!=""})', "{{component}} {{instance}}")),
        lines("File descriptors", "Open file descriptors, as a share of those allowed.", "percentunit",
              q('max by (component, instance) (process_open_fds{@all,component!=""} / process_max_fds{@all,component!=""})', "{{component}} {{instance}}"),
              steps=limits("fd_share"), highest=1),
        lines("Threads", "Threads of each process.", "short",
              q('max by (component, instance) (process_threads{@all,component!=""})', "{{component}} {{instance}}")),
        lines("Restarts", "Starts of processes in an hour: each is a change of the time at which a process began.", "short",
              q('sum by (component) (changes(process_start_time_seconds{@all,component!=""}[1h]))', "{{component}}")),
        lines("Brokers answer", "1 where any broker answers the stage.", "bool_yes_no",
              q("min by (stage) (treble_kafka_reachable{@all})", "{{stage}}"), highest=1),
    )
    made.row(
        "Kafka as its clients see it",
        lines("Consumed", "Bytes of records polled, by topic.", "Bps",
              q("sum by (topic) (rate(treble_kafka_consumed_bytes_total{@all}[$__rate_interval]))", "{{topic}}")),
        lines("Produced", "Bytes of records in committed transactions, by topic.", "Bps",
              q("sum by (topic) (rate(treble_kafka_produced_bytes_total{@all}[$__rate_interval]))", "{{topic}}")),
        lines("Log of each topic", "Records between the first offset and the end.", "short",
              q("sum by (topic) (kafka_topic_partition_current_offset{@all} - kafka_topic_partition_oldest_offset{@all})", "{{topic}}")),
        lines("Schema registry", "Questions to the schema registry that failed.", "cps",
              q("sum by (stage) (rate(treble_registry_failures_total{@all}[$__rate_interval]))", "{{stage}}"), span=12),
        lines("Partitions of topics", "Partitions of each topic that a group reads.", "short",
              q("max by (topic) (kafka_topic_partitions{@all})", "{{topic}}"), span=12),
    )
    made.row(
        "SQL",
        lines("Sessions", "Open sessions of each door, as a share of those allowed.", "percentunit",
              q("sum by (protocol) (treble_sql_sessions_active{@all}) / sum by (protocol) (treble_sql_sessions_limit{@all} > 0)", "{{protocol}}"),
              steps=limits("sessions_share"), highest=1),
        lines("Time of a statement", "What 95 of 100 statements took at most, from their text to their last row.", "s",
              *quantiles("database_query_duration_seconds", "@all", "query_type", (0.95,)), steps=limits("query_seconds")),
        lines("Statements", "Statements by how they ended.", "ops",
              q("sum by (outcome) (rate(treble_sql_queries_total{@all}[$__rate_interval]))", "{{outcome}}")),
        lines("Memory of statements", "Memory that running statements have reserved, and that of rows that the lake does not hold yet.", "bytes",
              q("max by (instance) (treble_sql_memory_reserved_bytes{@all})", "statements: {{instance}}"),
              q("max by (instance) (treble_sql_recent_bytes{@all})", "recent rows: {{instance}}")),
        lines("Answers over HTTP", "Answers by their code. 429: too many statements were running.", "reqps",
              q("sum by (status_code) (rate(http_requests_total{@all}[$__rate_interval])) > 0", "{{status_code}}")),
        lines("Time of an answer over HTTP", "From a request to the last byte of its answer.", "s",
              *quantiles("http_request_duration_seconds", "@all", "", (0.5, 0.95)), steps=limits("response_warning_seconds", "response_critical_seconds")),
        lines("Logins refused", "Clients that were not let in, by door.", "cps",
              q('sum by (protocol) (rate(treble_auth_attempts_total{@all,outcome="denied"}[$__rate_interval]))', "{{protocol}}"), steps=limits("denied_logins"), span=12),
        lines("What is needed answers", "1 where what a process needs answered when it was last asked.", "bool_yes_no",
              q("min by (component, dependency) (treble_dependency_up{@all})", "{{component}}: {{dependency}}"), highest=1, span=12),
    )
    made.row(
        "Lake",
        lines("Rows stored", "Rows committed to the lake, by table.", "cps",
              q("sum by (table) (rate(treble_lake_rows_written_total{@all}[$__rate_interval]))", "{{table}}")),
        lines("Commits refused", "Commits to the lake that another process overtook, or that failed.", "cps",
              q('sum by (table, outcome) (rate(treble_lake_commits_total{@all,outcome!="committed"}[$__rate_interval]))', "{{table}} {{outcome}}")),
        lines("Time of a commit", "What 95 of 100 commits to the lake took at most.", "s",
              q("histogram_quantile(0.95, sum by (table, le) (rate(treble_lake_commit_duration_seconds_bucket{@all}[$__rate_interval])))", "{{table}}")),
        lines("Files of the lake", "Files that each table is made of.", "short",
              q("max by (table) (treble_lake_files{@all})", "{{table}}")),
    )
    return made
