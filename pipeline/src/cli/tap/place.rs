//! Where in a topic to begin, and how a moment is written.

use crate::clock::rfc3339;
use std::str::FromStr;

/// Where to begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// With the oldest record that is held.
    Beginning,
    /// With what is still to come.
    End,
    /// At this offset of each partition.
    Offset(i64),
    /// With what came in the last so many milliseconds.
    Ago(i64),
}

impl Place {
    /// The Unix time in milliseconds from which on records are wanted, if it is a time that says where.
    pub(super) fn since_ms(self, now_ms: i64) -> Option<i64> {
        match self {
            Self::Beginning | Self::Offset(_) => None,
            // No record is as late: what is asked for is the end.
            Self::End => Some(i64::MAX),
            Self::Ago(ago) => Some(now_ms.saturating_sub(ago)),
        }
    }
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "{text:?} is none of: beginning, end, an offset, or how long ago, such as 90s, 10m, 2h, 1d"
            )
        };
        match text {
            "beginning" => return Ok(Self::Beginning),
            "end" => return Ok(Self::End),
            _ => {}
        }
        let split = text.find(|character: char| !character.is_ascii_digit()).unwrap_or(text.len());
        let number: i64 = text[..split].parse().map_err(|_| wrong())?;
        let unit_ms = match &text[split..] {
            "" => return Ok(Self::Offset(number)),
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return Err(wrong()),
        };
        Ok(Self::Ago(number.saturating_mul(unit_ms)))
    }
}

/// Unix milliseconds as RFC 3339 in UTC; `-` for a record without a time.
pub(super) fn clock_time(unix_ms: i64) -> String {
    if unix_ms < 0 {
        return "-".to_owned();
    }
    let exact = rfc3339(unix_ms.saturating_mul(1_000));
    format!("{}Z", &exact[..exact.len() - "000Z".len()])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_read_as_they_are_told() {
        let check =
            |text: &str, expect: Option<Place>| assert_eq!(text.parse::<Place>().ok(), expect, "{text}");
        check("beginning", Some(Place::Beginning));
        check("end", Some(Place::End));
        check("17", Some(Place::Offset(17)));
        check("90s", Some(Place::Ago(90_000)));
        check("2h", Some(Place::Ago(7_200_000)));
        check("", None);
        check("-1", None);
        check("2 weeks", None);
        check("99999999999999999999", None);
    }

    #[test]
    fn times_are_those_of_the_calendar() {
        let check = |unix_ms, expect: &str| assert_eq!(clock_time(unix_ms), expect);
        check(0, "1970-01-01T00:00:00.000Z");
        check(951_782_399_999, "2000-02-28T23:59:59.999Z");
        check(951_782_400_000, "2000-02-29T00:00:00.000Z");
        check(1_709_251_199_000, "2024-02-29T23:59:59.000Z");
        check(4_102_444_800_000, "2100-01-01T00:00:00.000Z");
        check(-1, "-");
    }
}
