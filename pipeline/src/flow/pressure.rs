//! When to stop reading: high and low water over what was read and is not committed yet.

/// Bytes at which reading stops and starts again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pressure {
    high_bytes: u64,
    low_bytes: u64,
    in_flight_bytes: u64,
    paused: bool,
}

/// What the caller must now do to the consumer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    /// Nothing.
    Keep,
    /// Pause all partitions: the consumer goes on polling, so that it stays in its group.
    Pause,
    /// Resume all partitions.
    Resume,
}

impl Pressure {
    /// Reading stops above `high_bytes` and starts again below `low_bytes`.
    #[must_use]
    pub fn new(high_bytes: u64, low_bytes: u64) -> Self {
        Self { high_bytes, low_bytes, in_flight_bytes: 0, paused: false }
    }

    /// `bytes` were read.
    pub fn add(&mut self, bytes: u64) {
        self.in_flight_bytes += bytes;
    }

    /// `bytes` were settled or thrown away.
    pub fn release(&mut self, bytes: u64) {
        self.in_flight_bytes = self.in_flight_bytes.saturating_sub(bytes);
    }

    /// Everything in flight was thrown away.
    pub fn clear(&mut self) {
        self.in_flight_bytes = 0;
    }

    /// Bytes read and not settled yet.
    #[must_use]
    pub fn in_flight_bytes(&self) -> u64 {
        self.in_flight_bytes
    }

    /// Whether reading is stopped.
    #[must_use]
    pub fn paused(&self) -> bool {
        self.paused
    }

    /// What to do now. The gap between the marks keeps pause and resume rare: a pause throws the prefetched
    /// queue away.
    pub fn decide(&mut self) -> Flow {
        if !self.paused && self.in_flight_bytes > self.high_bytes {
            self.paused = true;
            Flow::Pause
        } else if self.paused && self.in_flight_bytes <= self.low_bytes {
            self.paused = false;
            Flow::Resume
        } else {
            Flow::Keep
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_above_high_water_and_resumes_at_low_water_only() {
        let mut pressure = Pressure::new(100, 40);
        pressure.add(101);
        assert_eq!(pressure.decide(), Flow::Pause);
        assert_eq!(pressure.decide(), Flow::Keep);
        pressure.release(60);
        assert_eq!(pressure.decide(), Flow::Keep);
        pressure.release(1);
        assert_eq!(pressure.decide(), Flow::Resume);
    }
}
