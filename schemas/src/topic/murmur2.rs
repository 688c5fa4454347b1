//! Which partition a key belongs to, as the Java client decides it.
//!
//! Source: `org.apache.kafka.common.utils.Utils.murmur2` and `BuiltInPartitioner.partitionForKey`. The rule
//! is part of the contract: a producer in any language must send one stream to one partition.

use std::num::NonZeroU32;

const SEED: u32 = 0x9747_b28c;
const M: u32 = 0x5bd1_e995;
const R: u32 = 24;

/// The 32-bit MurmurHash2 of `key` with the Java client's seed, as Java's signed `int`.
#[must_use]
pub fn murmur2(key: &[u8]) -> i32 {
    // Java hashes the length as an `int`; a key never reaches 2^31 bytes.
    let mut hash = SEED ^ u32::try_from(key.len()).unwrap_or(u32::MAX);
    let mut words = key.chunks_exact(4);
    for word in &mut words {
        let word = word.iter().rev().fold(0, |word, &byte| word << 8 | u32::from(byte)).wrapping_mul(M);
        hash = hash.wrapping_mul(M) ^ (word ^ word >> R).wrapping_mul(M);
    }
    let tail = words.remainder();
    if !tail.is_empty() {
        hash ^= tail.iter().rev().fold(0, |word, &byte| word << 8 | u32::from(byte));
        hash = hash.wrapping_mul(M);
    }
    hash = (hash ^ hash >> 13).wrapping_mul(M);
    (hash ^ hash >> 15).cast_signed()
}

/// Drops the sign bit, as `Utils.toPositive` does; not the absolute value.
#[must_use]
pub const fn to_positive(hash: i32) -> i32 {
    hash & i32::MAX
}

/// The partition, of `partitions`, that records with `key` belong to.
#[must_use]
pub fn partition_of(key: &[u8], partitions: NonZeroU32) -> i32 {
    // Both operands are below 2^31 as Kafka's partition counts are, so the remainder fits.
    let remainder = to_positive(murmur2(key)).cast_unsigned() % partitions;
    remainder.cast_signed()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vectors of `UtilsTest.testMurmur2` in the Kafka source.
    #[test]
    fn hashes_are_those_of_the_java_client() {
        for (key, hash) in [
            ("21", -973_932_308),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
            ("abc", 479_470_107),
        ] {
            assert_eq!(murmur2(key.as_bytes()), hash, "{key}");
        }
    }

    #[test]
    fn the_partition_is_the_positive_hash_modulo_the_count() {
        let four = NonZeroU32::new(4).unwrap();
        assert_eq!(to_positive(-973_932_308), 1_173_551_340);
        assert_eq!(partition_of(b"21", four), 1_173_551_340 % 4);
        assert_eq!(partition_of(b"abc", four), 479_470_107 % 4);
        assert_eq!(to_positive(i32::MIN), 0);
        assert_eq!(partition_of(b"", NonZeroU32::MIN), 0);
    }
}
