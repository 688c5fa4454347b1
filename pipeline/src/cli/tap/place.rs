//! Where in a topic to begin, and how a moment is written.

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

/// Unix milliseconds as RFC 3339 in UTC; `-` for a record without a time. Days become a date as in Howard Hinnant's
/// "chrono-Compatible Low-Level Date Algorithms" (`civil_from_days`).
pub(super) fn clock_time(unix_ms: i64) -> String {
    if unix_ms < 0 {
        return "-".to_owned();
    }
    let (days, of_day) = (unix_ms / 86_400_000, unix_ms % 86_400_000);
    let shifted = days + 719_468;
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let (hour, minute) = (of_day / 3_600_000, of_day / 60_000 % 60);
    let (second, milli) = (of_day / 1_000 % 60, of_day % 1_000);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z")
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
