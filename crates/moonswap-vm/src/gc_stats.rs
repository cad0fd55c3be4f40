//! Times of the collector's steps, for hosts that watch pauses.
//!
//! Only steps taken at safe points count, one at a time: neither explicit
//! collections (`collectgarbage`) nor finalizers, which are Lua code.

use std::time::Duration;

/// A clock for [`GcStats`]: time since some fixed moment.
pub type GcClock = fn() -> Duration;

/// Time that passes, where there is a clock.
fn wall_clock() -> Duration {
    #[cfg(all(target_family = "wasm", target_os = "unknown"))]
    return Duration::ZERO;
    #[cfg(not(all(target_family = "wasm", target_os = "unknown")))]
    {
        static START: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
        START.get_or_init(std::time::Instant::now).elapsed()
    }
}

/// Buckets per doubling.
const FINE: usize = 8;
const N_BUCKETS: usize = 40 * FINE;

/// How often and how long the collector ran.
#[derive(Clone, Debug)]
pub struct GcStats {
    /// Steps taken.
    pub n_steps: u64,
    /// The longest of them.
    pub longest_step: Duration,
    /// All of them together.
    pub total: Duration,
    /// Markings brought to an end by a step.
    pub cycles: u64,
    /// Steps by duration, logarithmic.
    buckets: Box<[u32; N_BUCKETS]>,
    clock: GcClock,
}

impl Default for GcStats {
    fn default() -> Self {
        Self {
            n_steps: 0,
            longest_step: Duration::ZERO,
            total: Duration::ZERO,
            cycles: 0,
            buckets: Box::new([0; N_BUCKETS]),
            clock: wall_clock,
        }
    }
}

impl GcStats {
    /// No steps yet.
    pub(crate) fn new(clock: GcClock) -> Self {
        Self {
            clock,
            ..Self::default()
        }
    }

    /// The same clock, no steps.
    pub(crate) fn reset(&mut self) {
        *self = Self::new(self.clock);
    }

    pub(crate) fn clock(&self) -> GcClock {
        self.clock
    }

    pub(crate) fn now(&self) -> Duration {
        (self.clock)()
    }

    /// A step that began at `start` ends now.
    pub(crate) fn note(&mut self, start: Duration, ended_marking: bool) {
        self.add(self.now().saturating_sub(start), ended_marking);
    }

    fn add(&mut self, took: Duration, ended_marking: bool) {
        self.n_steps += 1;
        self.longest_step = self.longest_step.max(took);
        self.total += took;
        self.cycles += u64::from(ended_marking);
        self.buckets[bucket_of(took)] += 1;
    }

    /// The duration that `quantile` (0 to 1) of all steps do not exceed, to
    /// within an eighth.
    pub fn quantile(&self, quantile: f64) -> Duration {
        let rank = (quantile.clamp(0.0, 1.0) * self.n_steps as f64)
            .ceil()
            .max(1.0) as u64;
        let mut seen = 0;
        for (i, &n) in self.buckets.iter().enumerate() {
            seen += u64::from(n);
            if seen >= rank {
                return end_of(i).min(self.longest_step);
            }
        }
        self.longest_step
    }
}

fn bucket_of(took: Duration) -> usize {
    let nanos = (took.as_nanos() as u64).max(FINE as u64);
    let exponent = nanos.ilog2() as usize;
    let fraction = (nanos >> (exponent - 3)) as usize & (FINE - 1);
    ((exponent - 3) * FINE + fraction).min(N_BUCKETS - 1)
}

fn end_of(bucket: usize) -> Duration {
    let (exponent, fraction) = (bucket / FINE, bucket % FINE);
    Duration::from_nanos((((FINE + fraction + 1) as u64) << exponent) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_near() {
        let mut stats = GcStats::default();
        for i in 1..=1000u64 {
            stats.add(Duration::from_micros(i), i % 100 == 0);
        }
        assert_eq!((stats.n_steps, stats.cycles), (1000, 10));
        assert_eq!(stats.quantile(1.0), Duration::from_millis(1));
        for (q, micros) in [(0.5, 500.0), (0.99, 990.0), (0.001, 1.0)] {
            let found = stats.quantile(q).as_secs_f64() * 1e6;
            assert!(found >= micros && found <= micros * 1.13, "{q}: {found}");
        }
        assert_eq!(GcStats::default().quantile(0.5), Duration::ZERO);
    }
}
