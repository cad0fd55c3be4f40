//! `os.date` and `os.time`.

use moonswap_vm::context::{Context, Outcome, View};

use super::calendar::{self, Civil, Fields};

const WEEKDAYS: [&str; 7] = [
    "Sunday",
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
];
const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// Conversions of one letter, and those that `E` and `O` may precede.
const PLAIN: &[u8] = b"aAbBcCdDeFgGhHIjmMnprRStTuUVwWxXyYzZ%";
const AFTER_E: &[u8] = b"cCxXyY";
const AFTER_O: &[u8] = b"deHImMSuUVwWy";

fn now() -> i64 {
    use std::time::{SystemTime, UNIX_EPOCH};
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => since.as_secs() as i64,
        // a clock before 1970
        Err(before) => -(before.duration().as_secs() as i64),
    }
}

/// `os.date ([format [, time]])`
pub(super) fn date(cx: &mut Context<'_>) -> Outcome<usize> {
    let format = cx.copy_of(cx.opt_str(0)?.map_or(b"%c", |s| s.as_bytes()))?;
    let time = if cx.at(1).is_nil() {
        now()
    } else {
        cx.check_int(1)?
    };
    let (format, civil) = match format.strip_prefix(b"!") {
        Some(rest) => (rest, calendar::utc(time)),
        None => (&format[..], calendar::local(time)),
    };
    let Some(civil) = civil else {
        return Err(cx.error("date result cannot be represented in this installation"));
    };
    // as a C string: what follows a NUL does not count
    if format.split(|&c| c == 0).next() == Some(b"*t") {
        let table = cx.height();
        cx.push_table(0, 9);
        set_fields(cx, table, &civil)?;
        return Ok(1);
    }
    let mut out = cx.take_buffer();
    let mut rest = format;
    let mut turns = 0;
    while let Some((&c, after)) = rest.split_first() {
        crate::library::tick(cx, &mut turns)?;
        if c != b'%' {
            cx.grow_buffer(&mut out, 1)?;
            out.push(c);
            rest = after;
            continue;
        }
        let (letter, length) = match after {
            [b'E', c, ..] if AFTER_E.contains(c) => (*c, 2),
            [b'O', c, ..] if AFTER_O.contains(c) => (*c, 2),
            [c, ..] if PLAIN.contains(c) => (*c, 1),
            _ => {
                let shown = after.split(|&c| c == 0).next().unwrap_or(after);
                let mut message = b"invalid conversion specifier '%".to_vec();
                message.extend_from_slice(shown);
                message.push(b'\'');
                return Err(cx.arg_error(0, message));
            }
        };
        cx.grow_buffer(&mut out, LONGEST)?;
        convert(&mut out, letter, &civil);
        rest = &after[length..];
    }
    cx.push_buffer(out);
    Ok(1)
}

/// Bytes of a conversion at most.
const LONGEST: usize = 128;

/// Appends one conversion, as C's `strftime` in the C locale.
fn convert(out: &mut Vec<u8>, letter: u8, t: &Civil) {
    let hour12 = (t.hour + 11) % 12 + 1;
    let weekday = WEEKDAYS[t.weekday.rem_euclid(7) as usize];
    let month = MONTHS[(t.month - 1).rem_euclid(12) as usize];
    let text = match letter {
        b'a' => weekday[..3].to_owned(),
        b'A' => weekday.to_owned(),
        b'b' | b'h' => month[..3].to_owned(),
        b'B' => month.to_owned(),
        b'C' => shown_year(t.year).div_euclid(100).to_string(),
        b'd' => format!("{:02}", t.day),
        b'e' => format!("{:2}", t.day),
        b'g' => format!("{:02}", shown_year(iso_week(t).0).rem_euclid(100)),
        b'G' => shown_year(iso_week(t).0).to_string(),
        b'V' => format!("{:02}", iso_week(t).1),
        b'H' => format!("{:02}", t.hour),
        b'I' => format!("{hour12:02}"),
        b'j' => format!("{:03}", t.yearday + 1),
        b'm' => format!("{:02}", t.month),
        b'M' => format!("{:02}", t.minute),
        b'n' => "\n".to_owned(),
        b'p' => if t.hour < 12 { "AM" } else { "PM" }.to_owned(),
        b'S' => format!("{:02}", t.second),
        b't' => "\t".to_owned(),
        b'u' => (if t.weekday == 0 { 7 } else { t.weekday }).to_string(),
        b'U' => format!("{:02}", (t.yearday + 7 - t.weekday) / 7),
        b'w' => t.weekday.to_string(),
        b'W' => format!("{:02}", (t.yearday + 7 - (t.weekday + 6) % 7) / 7),
        b'y' => format!("{:02}", t.year.rem_euclid(100)),
        b'Y' => shown_year(t.year).to_string(),
        b'z' => {
            let minutes = t.offset.abs() / 60;
            let sign = if t.offset < 0 { '-' } else { '+' };
            format!("{sign}{:02}{:02}", minutes / 60, minutes % 60)
        }
        b'Z' => t.zone.clone(),
        b'%' => "%".to_owned(),
        // compounds
        _ => {
            let parts: &[u8] = match letter {
                b'c' => b"a b e T Y",
                b'D' | b'x' => b"m/d/y",
                b'F' => b"Y-m-d",
                b'r' => b"I:M:S p",
                b'R' => b"H:M",
                _ => b"H:M:S",
            };
            for &part in parts {
                if part.is_ascii_alphabetic() {
                    convert(out, part, t);
                } else {
                    out.push(part);
                }
            }
            return;
        }
    };
    out.extend_from_slice(text.as_bytes());
}

/// A year as the system's `strftime` writes it: its `int` counts from 1900, so
/// the last of the years that it can hold overflow.
fn shown_year(year: i64) -> i32 {
    year as i32
}

/// Year and week by ISO 8601: weeks begin on Monday, and belong to the year
/// that has their Thursday.
fn iso_week(t: &Civil) -> (i64, i64) {
    let monday_based = (t.weekday + 6) % 7;
    let thursday = t.yearday - monday_based + 3;
    let length =
        |year: i64| calendar::days_from_date(year + 1, 1, 1) - calendar::days_from_date(year, 1, 1);
    if thursday < 0 {
        (t.year - 1, (thursday + length(t.year - 1)) / 7 + 1)
    } else if thursday >= length(t.year) {
        (t.year + 1, 1)
    } else {
        (t.year, thursday / 7 + 1)
    }
}

fn set_fields(cx: &mut Context<'_>, table: usize, t: &Civil) -> Outcome<()> {
    let fields = [
        ("year", t.year),
        ("month", t.month),
        ("day", t.day),
        ("hour", t.hour),
        ("min", t.minute),
        ("sec", t.second),
        ("yday", t.yearday + 1),
        ("wday", t.weekday + 1),
    ];
    for (name, value) in fields {
        cx.push_int(value);
        cx.set_index_field(table, name)?;
    }
    cx.push_bool(t.dst);
    cx.set_index_field(table, "isdst")
}

/// A field of the date table at index 0. `delta` is what C's `struct tm`
/// counts from: the difference has to fit in 32 bits.
fn field(cx: &mut Context<'_>, name: &str, default: Option<i64>, delta: i64) -> Outcome<i64> {
    let base = cx.height();
    cx.index_field(0, name)?;
    let value = match (cx.at(base).to_integer(), cx.at(base)) {
        (Some(value), _) => {
            if value
                .checked_sub(delta)
                .and_then(|v| i32::try_from(v).ok())
                .is_none()
            {
                return Err(cx.error(format!("field '{name}' is out-of-bound")));
            }
            value
        }
        (None, View::Nil) => match default {
            Some(value) => value,
            None => return Err(cx.error(format!("field '{name}' missing in date table"))),
        },
        _ => return Err(cx.error(format!("field '{name}' is not an integer"))),
    };
    cx.set_height(base);
    Ok(value)
}

/// `os.time ([table])`
pub(super) fn time(cx: &mut Context<'_>) -> Outcome<usize> {
    if cx.at(0).is_nil() {
        return cx.ret_int(now());
    }
    cx.check_table(0)?;
    cx.set_height(1);
    let year = field(cx, "year", None, 1900)?;
    let month = field(cx, "month", None, 1)?;
    let day = field(cx, "day", None, 0)?;
    let hour = field(cx, "hour", Some(12), 0)?;
    let minute = field(cx, "min", Some(0), 0)?;
    let second = field(cx, "sec", Some(0), 0)?;
    cx.index_field(0, "isdst")?;
    let dst = match cx.at(1) {
        View::Nil => None,
        value => Some(value.truthy()),
    };
    cx.set_height(1);
    let fields = Fields {
        year,
        month,
        day,
        hour,
        minute,
        second,
        dst,
    };
    match calendar::from_local(fields) {
        // -1 is how C reports failure, so this one moment cannot be had
        Some((time, civil)) if time != -1 => {
            set_fields(cx, 0, &civil)?;
            cx.ret_int(time)
        }
        _ => Err(cx.error("time result cannot be represented in this installation")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn utc(format: &str, time: i64) -> String {
        let civil = calendar::utc(time).expect("in range");
        let mut out = Vec::new();
        for c in format.bytes() {
            if c.is_ascii_alphabetic() {
                convert(&mut out, c, &civil);
            } else {
                out.push(c);
            }
        }
        String::from_utf8_lossy(&out).into_owned()
    }

    #[test]
    fn conversions_are_those_of_c() {
        let all = "F T a j U W G-V u w C y g I p";
        let known = [
            (
                1_709_344_855,
                "2024-03-02 02:00:55 Sat 062 08 09 2024-09 6 6 20 24 24 02 AM",
            ),
            (
                978_220_800,
                "2000-12-31 00:00:00 Sun 366 53 52 2000-52 7 0 20 00 00 12 AM",
            ),
            (
                -31_536_000,
                "1969-01-01 00:00:00 Wed 001 00 00 1969-01 3 3 19 69 69 12 AM",
            ),
            (
                1_104_537_600,
                "2005-01-01 00:00:00 Sat 001 00 00 2004-53 6 6 20 05 04 12 AM",
            ),
            (
                1_293_839_999,
                "2010-12-31 23:59:59 Fri 365 52 52 2010-52 5 5 20 10 10 11 PM",
            ),
            (
                253_402_300_800,
                "10000-01-01 00:00:00 Sat 001 00 00 9999-52 6 6 100 00 99 12 AM",
            ),
        ];
        for (time, text) in known {
            assert_eq!(utc(all, time), text);
        }
        assert_eq!(
            utc("c|x|r|Z z", 0),
            "Thu Jan  1 00:00:00 1970|01/01/70|12:00:00 AM|GMT +0000"
        );
    }
}
