//! Points in time as patch files and audit records write them:
//! `2031-05-04T12:30:00Z`, UTC, whole seconds.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jiff::SignedDuration;
use jiff::civil::DateTime;

/// Seconds since 1970-01-01T00:00:00Z, of the years 1970 to 9999.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(u64);

/// 9999-12-31T23:59:59Z
const LAST: u64 = 253_402_300_799;
const EPOCH: DateTime = DateTime::constant(1970, 1, 1, 0, 0, 0, 0);

impl Timestamp {
    /// From seconds since 1970; later times than the year 9999 are that.
    pub fn from_secs(seconds: u64) -> Self {
        Self(seconds.min(LAST))
    }

    /// Seconds since 1970.
    pub fn as_secs(self) -> u64 {
        self.0
    }

    /// What the system's clock says.
    pub fn now() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        Self::from_secs(since.map_or(0, |since| since.as_secs()))
    }

    /// A later time.
    #[must_use]
    pub fn after(self, time: Duration) -> Self {
        Self::from_secs(self.0.saturating_add(time.as_secs()))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let since = SignedDuration::from_secs(self.0.min(LAST) as i64);
        // No time up to `LAST` is out of range.
        let time = EPOCH.saturating_add(since);
        write!(f, "{time}Z")
    }
}

#[cfg(feature = "json")]
impl serde::Serialize for Timestamp {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl FromStr for Timestamp {
    type Err = &'static str;

    /// Reads what `Display` writes. Errors: anything else.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let read = || {
            let time: DateTime = text.strip_suffix('Z')?.parse().ok()?;
            let seconds = time.duration_since(EPOCH).as_secs();
            Some(Self(u64::try_from(seconds).ok()?))
        };
        // Other separators, parts of seconds: not the same text.
        read()
            .filter(|time| time.to_string() == text)
            .ok_or("a time such as 2031-05-04T12:30:00Z expected")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_709_210_096, "2024-02-29T12:34:56Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
            (LAST, "9999-12-31T23:59:59Z"),
        ] {
            assert_eq!(Timestamp(seconds).to_string(), text);
            assert_eq!(text.parse(), Ok(Timestamp(seconds)));
        }
        const DAY: u64 = 86_400;
        for day in (0..LAST / DAY).step_by(97) {
            let time = Timestamp(day * DAY + 1);
            assert_eq!(time.to_string().parse(), Ok(time));
        }
        for bad in [
            "",
            "2024-02-30T00:00:00Z",
            "2023-02-29T00:00:00Z",
            "2024-13-01T00:00:00Z",
            "2024-01-01T24:00:00Z",
            "2024-01-01 00:00:00Z",
            "2024-01-01T00:00:00",
            "1969-12-31T23:59:59Z",
            "2024-00-01T00:00:00Z",
            "2024-01-00T00:00:00Z",
            "+024-01-01T00:00:00Z",
            "2024-01-01T00:00:60Z",
            "2024-01-01t00:00:00Z",
            "2024-01-01T00:00:00z",
            "2024-01-01T00:00:00.0Z",
            "2024-01-01T00:00Z",
            "2024-01-01T00:00:00+00:00Z",
            "2024-01-01T00:00:00Z[UTC]",
            "10000-01-01T00:00:00Z",
        ] {
            assert!(bad.parse::<Timestamp>().is_err(), "{bad}");
        }
    }
}
