# shellcheck shell=bash
# Configures and starts the parts of an instance. Sourced by up and node, after lib.sh; reads NODES, SECURE, REGISTRY and OWNER.
# shellcheck disable=SC2153 # they are set by the scripts that source this

START_TIMEOUT_S="${TREBLE_START_TIMEOUT_S:-120}"

# --- configuration ------------------------------------------------------------------------------------------------------

# configure_all standard|auto: chooses ports and writes every configuration.
configure_all() {
  local wanted=() ports=() id voters=""
  if [[ $1 == auto ]]; then
    for ((id = 0; id < 2 * NODES; id++)); do wanted+=(0); done
  elif ((NODES == 1)); then
    wanted=(9092 9093)
  else
    for ((id = 1; id <= NODES; id++)); do wanted+=("${id}9092" "${id}9093"); done
  fi
  read -ra ports < <("$HERE/probe.py" ports "${wanted[@]}")
  for ((id = 1; id <= NODES; id++)); do
    voters+="${voters:+,}$id@127.0.0.1:${ports[2 * id - 1]}"
  done
  for ((id = 1; id <= NODES; id++)); do
    configure_node "$id" "${ports[2 * id - 2]}" "${ports[2 * id - 1]}" "$voters"
  done
  configure_jvm >"$DIR/jvm.options"
  if [[ $REGISTRY == yes ]]; then configure_registry "$1"; fi
}

# One option a line. A stack with an owner lives for a test: the quick compiler alone halves the work of its start; a
# lasting one gets the optimising compiler, which pays within minutes.
configure_jvm() {
  printf '%s\n' "-Xmx$((NODES > 1 ? 384 : 512))m"
  [[ -z "$OWNER" ]] || printf '%s\n' -XX:TieredStopAtLevel=1 -XX:+UseSerialGC
}

# configure_node ID PORT CONTROLLER_PORT VOTERS
configure_node() {
  local node="$DIR/node-$1" copies=$NODES in_sync=$((NODES > 1 ? 2 : 1))
  mkdir -p "$node/logs"
  cat >"$node/server.properties" <<END
# Written anew by each start of the instance.
process.roles=broker,controller
node.id=$1
controller.quorum.voters=$4
log.dirs=$node/data
listeners=PLAINTEXT://127.0.0.1:$2,CONTROLLER://127.0.0.1:$3
advertised.listeners=PLAINTEXT://127.0.0.1:$2
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
# Topics are made by 'treble topics create', with the settings that the pipeline relies on.
auto.create.topics.enable=false
default.replication.factor=$copies
min.insync.replicas=$in_sync
offsets.topic.replication.factor=$copies
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=$copies
transaction.state.log.min.isr=$in_sync
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=$copies
share.coordinator.state.topic.min.isr=$in_sync
group.initial.rebalance.delay.ms=0
message.max.bytes=4194304
replica.fetch.max.bytes=4194304
transaction.abort.timed.out.transaction.cleanup.interval.ms=1000
# Of several, a killed broker is noticed in 3 s. The only one keeps the default: while it counts as gone no partition has
# a leader, and a transaction that ends just then loses its markers (docs/delivery.md).
broker.session.timeout.ms=$((NODES > 1 ? 3000 : 9000))
broker.heartbeat.interval.ms=500
END
  if [[ $SECURE == yes ]]; then secure_node "$node/server.properties"; fi
}

# jvm PART: the class path and logging of a Kafka process.
jvm() { printf '%s\n' -Dlog4j2.configurationFile="$HERE/log4j2.properties" -Dtreble.logs="$DIR/$1/logs" -cp "$DIST/kafka/*"; }

# configure_registry standard|auto: H2 in a file; without WRITE_DELAY=0 a kill -9 can lose the last schema.
configure_registry() {
  local registry="$DIR/registry" port
  port="$("$HERE/probe.py" ports "$([[ $1 == auto ]] && echo 0 || echo 8081)")"
  mkdir -p "$registry/tmp"
  cat >"$registry/registry.properties" <<END
quarkus.http.host=127.0.0.1
quarkus.http.port=$port
quarkus.banner.enabled=false
quarkus.log.console.enable=false
quarkus.log.file.enable=true
quarkus.log.file.json=false
quarkus.log.file.path=$registry/registry.log
quarkus.log.file.rotation.max-file-size=5M
quarkus.http.access-log.enabled=false
quarkus.log.category."io.apicurio.registry.logging.audit".level=WARN
apicurio.ccompat.use-canonical-hash=true
apicurio.rules.global.compatibility=FULL_TRANSITIVE
apicurio.disable.apis=/apis/registry/.*,/apidocs.*,/apis/ccompat/v6.*
apicurio.datasource.jdbc.initial-size=2
apicurio.datasource.jdbc.min-size=2
apicurio.datasource.jdbc.max-size=10
apicurio.datasource.url=jdbc:h2:file:$registry/db;WRITE_DELAY=0
END
}

# format_nodes: prepares storage that is new, all nodes at once; storage with data is left alone.
format_nodes() {
  local id jobs=()
  [[ -f "$DIR/cluster.id" ]] || "$HERE/probe.py" cluster-id >"$DIR/cluster.id"
  for ((id = 1; id <= $(node_count); id++)); do
    [[ -f "$DIR/node-$id/data/meta.properties" ]] && continue
    format_node "$id" &
    jobs+=($!)
  done
  for id in "${jobs[@]}"; do wait "$id" || exit; done
}

format_node() {
  local node="$DIR/node-$1" options users=()
  mapfile -t options < <(jvm "node-$1")
  if [[ $SECURE == yes ]]; then mapfile -t users < <(scram_users); fi
  "$JAVA" -Xmx128m -XX:TieredStopAtLevel=1 "${options[@]}" kafka.tools.StorageTool format \
    -t "$(cat "$DIR/cluster.id")" -c "$node/server.properties" "${users[@]}" </dev/null >"$node/console.log" 2>&1 9>&- || {
    explain_failure "node-$1"
    die "the storage of node $1 in $DIR could not be formatted" 69
  }
}

# --- start ---------------------------------------------------------------------------------------------------------------

start_node() {
  local options
  # A log of an earlier run must not be taken for this one's fault.
  if [[ -f "$DIR/node-$1/logs/server.log" ]]; then mv "$DIR/node-$1/logs/server.log" "$DIR/node-$1/logs/server.log.before"; fi
  mapfile -t options < <(cat "$DIR/jvm.options" && jvm "node-$1")
  start_daemon "node-$1" "$JAVA" "${options[@]}" kafka.Kafka "$DIR/node-$1/server.properties"
}

start_registry() {
  local registry="$DIR/registry"
  rm -f "$registry/registry.log"
  start_daemon registry "$JAVA" -Xmx96m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 "-Djava.io.tmpdir=$registry/tmp" \
    "-Dquarkus.config.locations=file:$registry/registry.properties" -jar "$DIST"/registry/apicurio-registry-app-*-runner.jar
}

# The registry first: it starts while the nodes format their storage.
start_missing() {
  local id
  if has_registry && [[ $REGISTRY == yes ]] && ! is_running registry; then start_registry; fi
  format_nodes
  for ((id = 1; id <= $(node_count); id++)); do
    is_running "node-$id" || start_node "$id"
  done
}

# --- readiness --------------------------------------------------------------------------------------------------------------

# answers NAME: whether that part does its work; a broker must see the whole cluster.
answers() {
  case "$1" in
    registry) "$HERE/probe.py" registry "$(registry_url)" ;;
    node-*) "$HERE/probe.py" broker "127.0.0.1:$(node_port "${1#node-}")" "$(node_count)" ;;
  esac 2>/dev/null
}

# await_part NAME DEADLINE: until it answers; fails when it ends or the time is up.
await_part() {
  until answers "$1"; do
    is_running "$1" || return 1
    ((SECONDS < $2)) || return 1
    sleep 0.1
  done
}

# await_all: waits for every part; on failure prints the name of the one that did not come up.
await_all() {
  local name deadline=$((SECONDS + START_TIMEOUT_S))
  for name in $(all_parts); do
    [[ $name == registry && $REGISTRY == no ]] && continue
    await_part "$name" "$deadline" || {
      printf '%s\n' "$name"
      return 1
    }
  done
}

# --- what others read ----------------------------------------------------------------------------------------------------------

write_endpoints() {
  local servers url="" id nodes=""
  servers="$(bootstrap_servers)"
  if is_running registry; then url="$(registry_url)"; fi
  for ((id = 1; id <= $(node_count); id++)); do
    nodes+="${nodes:+,}"$'\n'"    {\"id\": $id, \"address\": \"127.0.0.1:$(node_port "$id")\"}"
  done
  cat >"$DIR/env" <<END
export TREBLE_BOOTSTRAP_SERVERS=$servers
export TREBLE_SCHEMA_REGISTRY_URL=$url
END
  cat >"$DIR/endpoints.json" <<END
{
  "bootstrap_servers": "$servers",
  "schema_registry_url": $([[ -n $url ]] && printf '"%s"' "$url" || echo null),
  "nodes": [$nodes
  ]
}
END
}

# A process of its own that outlives this script, waits for the owner's end and then cleans up.
watch_owner() {
  is_running owner && return 0
  mkdir -p "$DIR/owner"
  # shellcheck disable=SC2016 # expanded by the inner shell
  start_daemon owner bash -c 'tail --pid="$1" -f /dev/null; exec "$2" --now --purge --dir "$3"' _ "$1" "$HERE/down" "$DIR"
}

describe() {
  say "Kafka     $(bootstrap_servers)"
  if is_running registry; then say "Registry  $(registry_url)"; fi
  say "Settings  source $DIR/env"
}
