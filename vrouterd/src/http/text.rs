//! Values as people read them. Each function of [`filters`] is a filter of the templates.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// Everything but the unreserved characters of RFC 3986 section 2.3.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Percent-encodes `text` for one segment of a path or one part of a query.
pub(super) fn encode(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}

/// Groups of three digits, a narrow no-break space between them.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(2 * digits.len());
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

const BYTE_UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];

/// Bytes with a binary unit and three digits.
fn scaled(bytes: u64) -> String {
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64;
    let mut unit = "B";
    for next in BYTE_UNITS {
        if value < 1023.5 {
            break;
        }
        value /= 1024.0;
        unit = next;
    }
    let decimals = if value < 9.995 {
        2
    } else if value < 99.95 {
        1
    } else {
        0
    };
    format!("{value:.decimals$} {unit}")
}

/// Seconds as the two largest units.
fn span(seconds: u64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => format!("{minutes} min {} s", seconds % 60),
        (0, _, _) => format!("{hours} h {} min", minutes % 60),
        _ => format!("{days} d {} h", hours % 24),
    }
}

/// Part of a second with a unit that suits it.
fn brief(seconds: f64) -> String {
    match seconds {
        0.0 => "–".to_owned(),
        _ if seconds < 0.001 => format!("{:.0} µs", seconds * 1e6),
        _ if seconds < 1.0 => format!("{:.1} ms", seconds * 1e3),
        _ => format!("{seconds:.1} s"),
    }
}

/// Pairs of hexadecimal digits in groups of eight octets.
fn spaced(hex: &str) -> String {
    let mut text = String::with_capacity(2 * hex.len());
    for (index, digit) in hex.chars().enumerate() {
        match index {
            0 => {}
            _ if index % 32 == 0 => text.push('\n'),
            _ if index % 16 == 0 => text.push_str("  "),
            _ if index % 2 == 0 => text.push(' '),
            _ => {}
        }
        text.push(digit);
    }
    text
}

/// Filters of the templates.
#[expect(unreachable_pub, reason = "askama::filter_fn writes a pub method for each")]
pub(super) mod filters {
    use std::borrow::Borrow;
    use std::fmt::Display;

    use askama::{Result, Values};

    /// One segment of a path, one part of a query, or a fragment.
    #[askama::filter_fn]
    pub(crate) fn path<T: Display>(text: T, _: &dyn Values) -> Result<String> {
        Ok(super::encode(&text.to_string()))
    }

    /// A count.
    #[askama::filter_fn]
    pub(crate) fn number<T: Borrow<u64>>(number: T, _: &dyn Values) -> Result<String> {
        Ok(super::grouped(*number.borrow()))
    }

    /// Bytes.
    #[askama::filter_fn]
    pub(crate) fn size<T: Borrow<u64>>(bytes: T, _: &dyn Values) -> Result<String> {
        Ok(super::scaled(*bytes.borrow()))
    }

    /// Seconds.
    #[askama::filter_fn]
    pub(crate) fn seconds<T: Borrow<u64>>(seconds: T, _: &dyn Values) -> Result<String> {
        Ok(super::span(*seconds.borrow()))
    }

    /// Milliseconds.
    #[askama::filter_fn]
    pub(crate) fn milliseconds<T: Borrow<u64>>(milliseconds: T, _: &dyn Values) -> Result<String> {
        let milliseconds = *milliseconds.borrow();
        if milliseconds < 1000 {
            Ok(format!("{milliseconds} ms"))
        } else {
            Ok(super::span(milliseconds / 1000))
        }
    }

    /// Part of a second.
    #[askama::filter_fn]
    pub(crate) fn duration<T: Borrow<f64>>(seconds: T, _: &dyn Values) -> Result<String> {
        Ok(super::brief(*seconds.borrow()))
    }

    /// A share from 0 to 1.
    #[askama::filter_fn]
    pub(crate) fn percent<T: Borrow<f64>>(share: T, _: &dyn Values) -> Result<String> {
        Ok(format!("{:.1} %", share.borrow() * 100.0))
    }

    /// A hex dump, 16 octets a line.
    #[askama::filter_fn]
    pub(crate) fn dump<T: Borrow<str>>(hex: T, _: &dyn Values) -> Result<String> {
        Ok(super::spaced(hex.borrow()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_reserved_is_encoded() {
        assert_eq!(encode("web-1_a.b~c"), "web-1_a.b~c");
        assert_eq!(encode("a/b?c#d e%\"<é"), "a%2Fb%3Fc%23d%20e%25%22%3C%C3%A9");
    }

    #[test]
    fn numbers_are_grouped_by_three() {
        let table = [(0, "0"), (999, "999"), (1000, "1 000"), (12_345_678, "12 345 678")];
        for (number, text) in table {
            assert_eq!(grouped(number).replace('\u{202f}', " "), text);
        }
    }

    #[test]
    fn sizes_and_spans_keep_what_matters() {
        let sizes = [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.00 KiB"),
            (10 << 20, "10.0 MiB"),
            ((1 << 20) - 1, "1.00 MiB"),
            (u64::MAX, "16.0 EiB"),
        ];
        for (bytes, text) in sizes {
            assert_eq!(scaled(bytes), text);
        }
        let spans = [(59, "59 s"), (60, "1 min 0 s"), (3_661, "1 h 1 min"), (90_000, "1 d 1 h")];
        for (seconds, text) in spans {
            assert_eq!(span(seconds), text);
        }
    }

    #[test]
    fn durations_get_the_unit_that_suits_them() {
        let table = [(0.0, "–"), (0.000_042, "42 µs"), (0.0123, "12.3 ms"), (2.5, "2.5 s")];
        for (seconds, text) in table {
            assert_eq!(brief(seconds), text);
        }
    }

    #[test]
    fn dumps_break_after_sixteen_octets() {
        assert_eq!(spaced(&"ab".repeat(9)), "ab ab ab ab ab ab ab ab  ab");
        assert_eq!(spaced(&"ab".repeat(17)).lines().count(), 2);
    }
}
