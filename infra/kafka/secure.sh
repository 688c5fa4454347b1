# shellcheck shell=bash
# The doors of --secure: passwords over TLS (SASL_SSL with SCRAM-SHA-512), certificates (mTLS), and who may do what. Sourced by up, after
# launch.sh; the authority, the certificates and the passwords are made here and are worth nothing elsewhere.

# Those who may log in with a password; 'stranger' may do nothing once inside.
USERS=(treble stranger)

# settle_security: keeps what the instance has; makes the secrets of a new one.
settle_security() {
  local file="$DIR/node-1/server.properties"
  if [[ -f "$DIR/secrets/authority.pem" ]]; then
    SECURE=yes
  elif [[ $SECURE == yes ]]; then
    ((NODES == 1)) || die "--secure goes with one node" 2
    [[ ! -f "$file" ]] || die "$DIR was made without --secure; use another --instance, or remove it: infra/kafka/down --purge --dir $DIR" 2
    make_secrets
  fi
}

make_secrets() {
  local secrets="$DIR/secrets" user
  command -v openssl >/dev/null || die "openssl is missing: it makes the certificates of --secure" 69
  (
    umask 077
    mkdir -p "$secrets"
    cd "$secrets"
    certificate authority -addext basicConstraints=critical,CA:TRUE
    for user in broker treble; do
      certificate "$user" -CA authority.pem -CAkey authority.key -addext basicConstraints=critical,CA:FALSE \
        -addext subjectAltName=IP:127.0.0.1,DNS:localhost
    done
    cat broker.key broker.pem >broker.chain.pem
    for user in "${USERS[@]}"; do openssl rand -hex 16 >"$user.password"; done
  ) || die "the secrets in $secrets could not be made" 69
}

# certificate NAME OPTION…: NAME.pem and NAME.key. They hold for as long as anybody may keep the instance: nothing renews them.
certificate() {
  local name="$1" said
  shift
  said="$(openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 3650 -subj "/CN=$name" \
    -keyout "$name.key" -out "$name.pem" "$@" 2>&1)" || {
    say "$said"
    return 1
  }
}

# secure_node FILE: the doors and the rules. Who comes through the open one may do everything: it is for these scripts.
secure_node() {
  local secrets="$DIR/secrets" sasl mutual
  read -r sasl mutual < <("$HERE/probe.py" ports 0 0)
  sed -Ei -e "s#^(advertised\\.)?listeners=#&SASL://127.0.0.1:$sasl,MUTUAL://127.0.0.1:$mutual,#" \
    -e 's#^listener\.security\.protocol\.map=#&SASL:SASL_SSL,MUTUAL:SSL,#' "$1"
  # A password is asked for again every five seconds (KIP-368), so that one that was changed is noticed.
  cat >>"$1" <<END
ssl.keystore.type=PEM
ssl.keystore.location=$secrets/broker.chain.pem
ssl.truststore.type=PEM
ssl.truststore.location=$secrets/authority.pem
listener.name.sasl.ssl.client.auth=none
listener.name.mutual.ssl.client.auth=required
sasl.enabled.mechanisms=SCRAM-SHA-512
listener.name.sasl.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
listener.name.sasl.scram-sha-512.connections.max.reauth.ms=5000
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS;User:treble;User:CN=treble
END
}

# scram_users: options of the storage tool that let them in, a word a line.
scram_users() {
  local user
  for user in "${USERS[@]}"; do
    printf -- '--add-scram\nSCRAM-SHA-512=[name=%s,password=%s]\n' "$user" "$(<"$DIR/secrets/$user.password")"
  done
}

# write_configurations: how treble comes in through either door.
write_configurations() {
  local secrets="$DIR/secrets" registry=""
  if is_running registry; then registry=$'\n[registry]\nurl = "'"$(registry_url)\""; fi
  cat >"$secrets/sasl.toml" <<END
[kafka]
bootstrap_servers = "127.0.0.1:$(listener_port 1 SASL)"
security_protocol = "SASL_SSL"
sasl_username = "treble"
sasl_password_file = "$secrets/treble.password"
ssl_ca_file = "$secrets/authority.pem"
$registry
END
  cat >"$secrets/mutual.toml" <<END
[kafka]
bootstrap_servers = "127.0.0.1:$(listener_port 1 MUTUAL)"
security_protocol = "SSL"
ssl_ca_file = "$secrets/authority.pem"
ssl_certificate_file = "$secrets/treble.pem"
ssl_key_file = "$secrets/treble.key"
$registry
END
}
