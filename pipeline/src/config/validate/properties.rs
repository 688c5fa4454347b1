//! Which librdkafka properties may not be set, and what to do instead.

/// Properties that have a key of their own.
const KEYED: [(&str, &str); 15] = [
    ("bootstrap.servers", "kafka.bootstrap_servers"),
    ("metadata.broker.list", "kafka.bootstrap_servers"),
    ("security.protocol", "kafka.security_protocol"),
    ("sasl.mechanism", "kafka.sasl_mechanism"),
    ("sasl.mechanisms", "kafka.sasl_mechanism"),
    ("sasl.username", "kafka.sasl_username"),
    ("sasl.password", "kafka.sasl_password_file"),
    ("ssl.ca.location", "kafka.ssl_ca_file"),
    ("ssl.certificate.location", "kafka.ssl_certificate_file"),
    ("ssl.key.location", "kafka.ssl_key_file"),
    ("message.timeout.ms", "kafka.message_timeout_ms"),
    ("delivery.timeout.ms", "kafka.message_timeout_ms"),
    ("session.timeout.ms", "kafka.session_timeout_ms"),
    ("max.poll.interval.ms", "kafka.max_poll_interval_ms"),
    ("transaction.timeout.ms", "commit.transaction_timeout_ms"),
];

/// Properties that exactly-once rests on.
const RESERVED: [&str; 14] = [
    "acks",
    "auto.offset.reset",
    "enable.auto.commit",
    "enable.auto.offset.store",
    "enable.idempotence",
    "group.id",
    "group.instance.id",
    "group.protocol",
    "isolation.level",
    "max.in.flight.requests.per.connection",
    "partition.assignment.strategy",
    "partitioner",
    "request.required.acks",
    "transactional.id",
];

/// What is wrong with setting `name`, and what to do; `None` where nothing is.
pub(super) fn refusal(name: &str) -> Option<(&'static str, String)> {
    if let Some((_, key)) = KEYED.iter().find(|(property, _)| *property == name) {
        return Some(("has a key of its own", format!("set {key}")));
    }
    RESERVED.contains(&name).then(|| ("exactly-once rests on Treble's own value", "leave it out".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Catalogue;

    #[test]
    fn the_keys_named_exist() {
        for (property, key) in KEYED {
            assert!(Catalogue::standard().find(key).is_some(), "{property}: {key}");
        }
    }
}
