//! Points in time as patch files and audit records write them:
//! `2031-05-04T12:30:00Z`, UTC, whole seconds.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Seconds since 1970-01-01T00:00:00Z, of the years 1970 to 9999.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(u64);

/// 9999-12-31T23:59:59Z
const LAST: u64 = 253_402_300_799;
const DAY: u64 = 86_400;

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

/// Year, month and day of a day since 1970-01-01: counts in eras of 400 years
/// that begin in March, so that leap days come last.
fn civil(day: u64) -> (u64, u64, u64) {
    let z = day + 719_468;
    let (era, of_era) = (z / 146_097, z % 146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * march + 2) / 5 + 1;
    let month = if march < 10 { march + 3 } else { march - 9 };
    (era * 400 + year + u64::from(month <= 2), month, day)
}

/// The reverse of [`civil`].
fn day_number(year: u64, month: u64, day: u64) -> Option<u64> {
    let year = year - u64::from(month <= 2);
    let (era, of_era) = (year / 400, year % 400);
    let march = (month + 9) % 12;
    let of_year = (153 * march + 2) / 5 + day - 1;
    (era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year).checked_sub(719_468)
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = civil(self.0 / DAY);
        let s = self.0 % DAY;
        write!(
            f,
            "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z",
            s / 3600,
            s / 60 % 60,
            s % 60
        )
    }
}

impl FromStr for Timestamp {
    type Err = &'static str;

    /// Reads what `Display` writes. Errors: anything else.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let field = |from: usize, to: usize| -> Option<u64> {
            let digits = text.get(from..to)?;
            digits.bytes().all(|b| b.is_ascii_digit()).then_some(())?;
            digits.parse().ok()
        };
        let read = || {
            let year = field(0, 4).filter(|&year| year >= 1970)?;
            let month = field(5, 7).filter(|month| (1..=12).contains(month))?;
            let day = day_number(year, month, field(8, 10).filter(|&day| day > 0)?)?;
            Some(Self(
                day * DAY + field(11, 13)? * 3600 + field(14, 16)? * 60 + field(17, 19)?,
            ))
        };
        // Days, hours that do not exist, other separators: not the same text.
        read()
            .filter(|time| time.0 <= LAST && time.to_string() == text)
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
        ] {
            assert!(bad.parse::<Timestamp>().is_err(), "{bad}");
        }
    }
}
