//! The positions of an epoch, added to its transaction, by a call that may never return.

use super::{Deliveries, Failure, KafkaTransactions, classify, retry};
use rdkafka::consumer::ConsumerGroupMetadata;
use rdkafka::producer::{BaseProducer, Producer};
use rdkafka::{Offset, TopicPartitionList};
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::time::Duration;

/// By how much librdkafka exceeds a time-out that it does keep: it looks at them once a second.
const GRACE: Duration = Duration::from_secs(2);

impl KafkaTransactions {
    /// Adds `offsets` to the open transaction.
    ///
    /// While the group's coordinator cannot be reached, `send_offsets_to_transaction` may block for ever, whatever its
    /// time-out says (librdkafka #5456, #5511). So it runs on a thread of its own. Where that does not come back, it is
    /// left behind, and so is the producer, which would wait for it: the next one takes over its id.
    pub(super) fn send_offsets(
        &self,
        producer: &Arc<BaseProducer<Deliveries>>,
        offsets: &[(i32, i64)],
        membership: ConsumerGroupMetadata,
        until: Duration,
    ) -> Result<(), Failure> {
        let offsets = self.list(offsets)?;
        let (clock, producer) = (Arc::clone(&self.clock), Arc::clone(producer));
        let (done, answer) = sync_channel(1);
        let send = move || {
            let outcome = retry(&*clock, &producer, until, "offsets", |left| {
                producer.send_offsets_to_transaction(&offsets, &membership, left)
            });
            // First the producer: whoever hears of the outcome may be the only one who holds it then.
            drop(producer);
            // Nobody waits any more where it took too long.
            done.send(outcome).ok();
        };
        let thread = std::thread::Builder::new().name("send-offsets".to_owned()).spawn(send);
        thread.map_err(|error| Failure::Abort(format!("offsets: cannot start a thread: {error}")))?;
        let patience = until.saturating_sub(self.clock.now()) + GRACE;
        answer.recv_timeout(patience).unwrap_or_else(|_| {
            Err(Failure::Broken {
                reason: format!("offsets: no answer from the client library within {patience:.1?}"),
                fenced: false,
            })
        })
    }

    fn list(&self, offsets: &[(i32, i64)]) -> Result<TopicPartitionList, Failure> {
        let mut list = TopicPartitionList::with_capacity(offsets.len());
        for (partition, position) in offsets {
            list.add_partition_offset(&self.input_topic, *partition, Offset::Offset(*position))
                .map_err(|error| classify("offsets", &error))?;
        }
        Ok(list)
    }
}
