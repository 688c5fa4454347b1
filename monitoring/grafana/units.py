"""Units that Grafana knows and that Treble's dashboards may use: ids of its value formats."""

UNITS = {
    "none", "short", "percent", "percentunit", "bytes", "Bps", "bps", "hertz", "s", "ms", "h", "d", "dtdurations", "dateTimeAsIso",
    "dateTimeFromNow", "cps", "ops", "reqps", "rps", "wps", "iops", "cpm", "opm", "joule", "watt", "celsius", "dB", "bool", "bool_yes_no",
    "bool_on_off",
}
