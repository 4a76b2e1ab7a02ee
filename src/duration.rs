//! Durations as Go writes them: `6h0m0s`, `20s`, `1.5s`, `500ms`.
//!
//! The kubelet decodes `cacheDuration` with [`metav1.Duration`], which is Go's [`time.ParseDuration`]; the
//! same text is what administrators know from their configuration files, so our settings use it too.
//!
//! [`metav1.Duration`]: https://pkg.go.dev/k8s.io/apimachinery/pkg/apis/meta/v1#Duration
//! [`time.ParseDuration`]: https://pkg.go.dev/time#ParseDuration

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// Units from the largest to the smallest, in nanoseconds. Go accepts both ways to write a micro sign.
const UNITS: [(&str, u64); 8] = [
    ("h", 3_600_000_000_000),
    ("ms", 1_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("us", 1_000),
    ("µs", 1_000),
    ("μs", 1_000),
    ("ns", 1),
];

/// A duration that is never negative and never longer than Go can represent (about 292 years).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct GoDuration(Duration);

impl GoDuration {
    /// `0s`; as a `cacheDuration` it tells the kubelet not to cache.
    pub const ZERO: Self = Self(Duration::ZERO);

    const MAX: Duration = Duration::from_nanos(i64::MAX.unsigned_abs());

    /// A number of whole seconds; what exceeds the longest duration is cut to it.
    pub const fn from_secs(seconds: u64) -> Self {
        let longest = Self::MAX.as_secs();
        Self(Duration::from_secs(if seconds < longest { seconds } else { longest }))
    }

    /// The same duration as std's type.
    pub const fn as_std(self) -> Duration {
        self.0
    }
}

impl fmt::Display for GoDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, nanos) = (self.0.as_secs(), self.0.subsec_nanos());
        if seconds == 0 && nanos > 0 {
            return match nanos {
                1_000_000.. => write!(f, "{}ms", Decimal(nanos / 1_000_000, nanos % 1_000_000, 6)),
                1_000.. => write!(f, "{}µs", Decimal(nanos / 1_000, nanos % 1_000, 3)),
                _ => write!(f, "{nanos}ns"),
            };
        }
        if seconds >= 3600 {
            write!(f, "{}h", seconds / 3600)?;
        }
        if seconds >= 60 {
            write!(f, "{}m", seconds / 60 % 60)?;
        }
        write!(f, "{}s", Decimal(seconds % 60, u64::from(nanos), 9))
    }
}

/// Whole part, fraction, and the number of digits of the fraction; trailing zeros are not written.
struct Decimal<N>(N, N, usize);

impl<N: fmt::Display> fmt::Display for Decimal<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fraction = format!("{:0width$}", self.1, width = self.2);
        match fraction.trim_end_matches('0') {
            "" => write!(f, "{}", self.0),
            digits => write!(f, "{}.{digits}", self.0),
        }
    }
}

impl FromStr for GoDuration {
    type Err = DurationError;

    fn from_str(text: &str) -> Result<Self, DurationError> {
        if text.starts_with('-') {
            return Err(DurationError::Negative);
        }
        let mut rest = text.strip_prefix('+').unwrap_or(text);
        if rest == "0" {
            return Ok(Self::ZERO);
        }
        if rest.is_empty() {
            return Err(DurationError::Empty);
        }
        let mut nanos: u128 = 0;
        while !rest.is_empty() {
            let (number, after) = rest.split_at(end_of(rest, |c| c.is_ascii_digit() || c == '.'));
            let (unit, after) = after.split_at(end_of(after, |c| !c.is_ascii_digit() && c != '.'));
            let per_unit = unit_in_nanos(unit)?;
            nanos += decimal_times(number, per_unit).ok_or(DurationError::Number)?;
            if nanos > Self::MAX.as_nanos() {
                return Err(DurationError::TooLong);
            }
            rest = after;
        }
        // The loop has checked that this fits.
        Ok(Self(Duration::from_nanos(u64::try_from(nanos).map_err(|_| DurationError::TooLong)?)))
    }
}

fn end_of(text: &str, belongs: impl Fn(char) -> bool) -> usize {
    text.find(|c| !belongs(c)).unwrap_or(text.len())
}

fn unit_in_nanos(unit: &str) -> Result<u64, DurationError> {
    match UNITS.iter().find(|(name, _)| *name == unit) {
        Some((_, nanos)) => Ok(*nanos),
        None if unit.is_empty() => Err(DurationError::NoUnit),
        None => Err(DurationError::Unit(unit.to_owned())),
    }
}

/// `number` × `per_unit`, rounded down to whole nanoseconds; `None` if it is no decimal number or too large.
fn decimal_times(number: &str, per_unit: u64) -> Option<u128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let digits = |text: &str| match text {
        "" => Some(0),
        text if text.bytes().all(|b| b.is_ascii_digit()) => text.parse::<u64>().ok().map(u128::from),
        _ => None,
    };
    // No unit has more than 13 digits of nanoseconds, so what stands behind the 15th cannot count.
    let fraction = &fraction[..fraction.len().min(15)];
    let scale = 10_u128.pow(u32::try_from(fraction.len()).ok()?);
    Some(digits(whole)? * u128::from(per_unit) + digits(fraction)? * u128::from(per_unit) / scale)
}

/// Why a text is not a duration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DurationError {
    /// There is no text.
    #[error("it is empty")]
    Empty,
    /// It starts with a minus sign.
    #[error("it is negative")]
    Negative,
    /// A number is missing or has a second decimal point.
    #[error("a number is malformed")]
    Number,
    /// A number has no unit.
    #[error("a unit is missing (h, m, s, ms)")]
    NoUnit,
    /// A unit that Go does not know.
    #[error("the unit `{0}` is unknown (h, m, s, ms)")]
    Unit(String),
    /// Longer than Go can represent.
    #[error("it is too long")]
    TooLong,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Pairs from the documentation and the tests of Go's `time` package.
    #[test]
    fn reads_and_writes_what_go_does() {
        let rows = [
            ("0", 0, "0s"),
            ("0s", 0, "0s"),
            ("20s", 20_000_000_000, "20s"),
            ("5m", 300_000_000_000, "5m0s"),
            ("6h", 21_600_000_000_000, "6h0m0s"),
            ("1h15m30.918s", 4_530_918_000_000, "1h15m30.918s"),
            ("+5s", 5_000_000_000, "5s"),
            (".5s", 500_000_000, "500ms"),
            ("1.s", 1_000_000_000, "1s"),
            ("1.5ms", 1_500_000, "1.5ms"),
            ("1µs", 1_000, "1µs"),
            ("1μs2us", 3_000, "3µs"),
            ("17ns", 17, "17ns"),
            ("0.3333333333333333333h", 1_199_999_999_999, "19m59.999999999s"),
            ("2562047h47m16.854775807s", i64::MAX.unsigned_abs(), "2562047h47m16.854775807s"),
        ];
        for (text, nanos, canonical) in rows {
            let duration: GoDuration = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(duration.as_std(), Duration::from_nanos(nanos), "{text}");
            assert_eq!(duration.to_string(), canonical, "{text}");
        }
    }

    #[test]
    fn refuses_what_go_refuses_and_what_is_negative() {
        let rows = [
            ("", DurationError::Empty),
            ("+", DurationError::Empty),
            ("-1s", DurationError::Negative),
            ("20", DurationError::NoUnit),
            ("20 s", DurationError::Unit(" s".into())),
            ("1d", DurationError::Unit("d".into())),
            ("s", DurationError::Number),
            (".s", DurationError::Number),
            ("1..5s", DurationError::Number),
            ("99999999999999999999h", DurationError::Number),
            ("2562047h47m16.854775808s", DurationError::TooLong),
            ("9223372036854775808ns", DurationError::TooLong),
        ];
        for (text, error) in rows {
            assert_eq!(text.parse::<GoDuration>(), Err(error), "{text}");
        }
    }

    proptest! {
        #[test]
        fn text_and_back(nanos in 0..=i64::MAX.unsigned_abs()) {
            let duration = GoDuration(Duration::from_nanos(nanos));
            prop_assert_eq!(duration.to_string().parse(), Ok(duration));
        }

        #[test]
        fn never_panics(text in "\\PC{0,40}|[0-9.]{0,30}(h|m|s|ms|us|ns)?") {
            let _ = text.parse::<GoDuration>();
        }
    }
}
