//! Calendar arithmetic: seconds since 1970 to and from a broken-down time, for
//! any year that fits in 32 bits (C's `struct tm`), and local time by the
//! system's time zone.

use jiff::Timestamp;
use jiff::tz::TimeZone;

const DAY: i64 = 86_400;
/// Days in 400 years, after which the calendar (weekdays too) repeats.
const CYCLE_DAYS: i64 = 146_097;

/// A broken-down time.
#[derive(Clone, Debug)]
pub(super) struct Civil {
    pub(super) year: i64,
    /// From 1.
    pub(super) month: i64,
    pub(super) day: i64,
    pub(super) hour: i64,
    pub(super) minute: i64,
    pub(super) second: i64,
    /// From 0 (Sunday).
    pub(super) weekday: i64,
    /// From 0.
    pub(super) yearday: i64,
    pub(super) dst: bool,
    /// Seconds east of Greenwich.
    pub(super) offset: i64,
    pub(super) zone: String,
}

/// Days from 1970-01-01 to a date; `month` from 1. Years count from March, so
/// that the leap day is the last.
pub(super) fn days_from_date(year: i64, month: i64, day: i64) -> i64 {
    let y = if month <= 2 { year - 1 } else { year };
    let cycle = y.div_euclid(400);
    let year_of_cycle = y.rem_euclid(400);
    let month_from_march = (month + 9).rem_euclid(12);
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    let day_of_cycle = year_of_cycle * 365 + year_of_cycle / 4 - year_of_cycle / 100 + day_of_year;
    cycle * CYCLE_DAYS + day_of_cycle - 719_468
}

/// Year, month (from 1) and day of a day number.
fn date_from_days(days: i64) -> (i64, i64, i64) {
    let z = days + 719_468;
    let cycle = z.div_euclid(CYCLE_DAYS);
    let day_of_cycle = z.rem_euclid(CYCLE_DAYS);
    let year_of_cycle =
        (day_of_cycle - day_of_cycle / 1460 + day_of_cycle / 36_524 - day_of_cycle / 146_096) / 365;
    let day_of_year =
        day_of_cycle - (365 * year_of_cycle + year_of_cycle / 4 - year_of_cycle / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    (
        year_of_cycle + cycle * 400 + i64::from(month <= 2),
        month,
        day,
    )
}

/// The local zone; UTC if the system does not say.
fn system_zone() -> TimeZone {
    TimeZone::try_system().unwrap_or(TimeZone::UTC)
}

/// Offset, daylight saving and name of the local zone at a moment.
fn zone_at(zone: &TimeZone, time: i64) -> (i64, bool, String) {
    // the zone library knows the years up to 9999; later ones are as their
    // like in an earlier cycle, earlier ones as the first it knows
    let cycle = CYCLE_DAYS * DAY;
    let last = days_from_date(9900, 1, 1) * DAY;
    let first = days_from_date(-9900, 1, 1) * DAY;
    let known = if time > last {
        let start = days_from_date(9400, 1, 1) * DAY;
        start + (time - start).rem_euclid(cycle)
    } else {
        time.max(first)
    };
    let Ok(timestamp) = Timestamp::from_second(known) else {
        return (0, false, "UTC".to_owned());
    };
    let info = zone.to_offset_info(timestamp);
    (
        info.offset().seconds().into(),
        info.dst().is_dst(),
        info.abbreviation().to_owned(),
    )
}

/// True if C's `struct tm` can hold the year.
fn year_fits(year: i64) -> bool {
    i32::try_from(year - 1900).is_ok()
}

fn civil(time: i64, offset: i64, dst: bool, zone: String) -> Option<Civil> {
    let local = time.checked_add(offset)?;
    let days = local.div_euclid(DAY);
    let seconds = local.rem_euclid(DAY);
    let (year, month, day) = date_from_days(days);
    year_fits(year).then(|| Civil {
        year,
        month,
        day,
        hour: seconds / 3600,
        minute: seconds / 60 % 60,
        second: seconds % 60,
        weekday: (days + 4).rem_euclid(7),
        yearday: days - days_from_date(year, 1, 1),
        dst,
        offset,
        zone,
    })
}

/// Breaks a time down in UTC; None if the year is out of range.
pub(super) fn utc(time: i64) -> Option<Civil> {
    civil(time, 0, false, "GMT".to_owned())
}

/// Breaks a time down in the local zone; None if the year is out of range.
pub(super) fn local(time: i64) -> Option<Civil> {
    let (offset, dst, name) = zone_at(&system_zone(), time);
    civil(time, offset, dst, name)
}

/// Fields to be normalised, as C's `mktime` takes them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fields {
    pub(super) year: i64,
    /// From 1.
    pub(super) month: i64,
    pub(super) day: i64,
    pub(super) hour: i64,
    pub(super) minute: i64,
    pub(super) second: i64,
    pub(super) dst: Option<bool>,
}

/// The moment of a local time and its normalised form; None if out of range.
/// Fields must fit in 32 bits or so: nothing overflows then.
pub(super) fn from_local(fields: Fields) -> Option<(i64, Civil)> {
    let months = fields.month - 1;
    let year = fields.year + months.div_euclid(12);
    let days = days_from_date(year, months.rem_euclid(12) + 1, 1) + fields.day - 1;
    let wall = days * DAY + fields.hour * 3600 + fields.minute * 60 + fields.second;
    let zone = system_zone();
    // a second guess corrects the first near a clock change, if it is right;
    // in the hour that a change skips none is
    let (first, _, _) = zone_at(&zone, wall);
    let (mut offset, mut dst, _) = zone_at(&zone, wall - first);
    let (again, again_dst, _) = zone_at(&zone, wall - offset);
    if again != offset && zone_at(&zone, wall - again).0 == again {
        (offset, dst) = (again, again_dst);
    }
    if let Some(wanted) = fields.dst
        && wanted != dst
    {
        // the caller's clock ran on the other time of the year
        const QUARTER: i64 = 91 * DAY;
        // where the zone never has that time, C takes it to be an hour away
        let (standard, away) = (offset, if wanted { 3600 } else { -3600 });
        offset = standard + away;
        for step in [1, -1, 2, -2, 3, -3] {
            let (other, other_dst, _) = zone_at(&zone, wall - standard + step * QUARTER);
            if other_dst == wanted {
                offset = other;
                break;
            }
        }
    }
    let time = wall - offset;
    let civil = local(time)?;
    Some((time, civil))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_and_days_are_inverse() {
        for year in [-400_001, -1, 0, 1, 1900, 1970, 2000, 2024, 2_147_485_547] {
            for (month, day) in [(1, 1), (2, 28), (3, 1), (12, 31)] {
                let days = days_from_date(year, month, day);
                assert_eq!(date_from_days(days), (year, month, day));
            }
        }
        assert_eq!(days_from_date(1970, 1, 1), 0);
        assert_eq!(days_from_date(2000, 2, 29), 951_782_400 / DAY);
    }

    #[test]
    fn years_have_the_range_of_a_c_int() {
        assert_eq!(
            utc(67_767_976_233_532_799).map(|c| c.year),
            Some(2_147_483_647)
        );
        assert_eq!(
            utc(67_768_036_191_676_799).map(|c| c.year),
            Some(2_147_485_547)
        );
        assert!(utc(67_768_036_191_676_800).is_none());
        assert!(utc(i64::MAX).is_none());
        assert!(utc(i64::MIN).is_none());
        assert!(local(i64::MAX).is_none());
    }

    #[test]
    fn local_time_goes_there_and_back() {
        for time in [
            0,
            1_700_000_000,
            1_720_000_000,
            -3_000_000_000,
            253_402_300_800_000,
        ] {
            let c = local(time).expect("in range");
            let fields = Fields {
                year: c.year,
                month: c.month,
                day: c.day,
                hour: c.hour,
                minute: c.minute,
                second: c.second,
                dst: Some(c.dst),
            };
            assert_eq!(from_local(fields).map(|r| r.0), Some(time));
        }
    }
}
