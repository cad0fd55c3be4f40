//! Straight lines through measurements.

/// `y = a + slope · x`, by least squares.
#[derive(Clone, Copy, Debug)]
pub struct Fit {
    /// Change of `y` for one more of `x`.
    pub slope: f64,
    /// Half of the 95 % confidence interval of the slope.
    pub error: f64,
    /// Change of `y` over the whole range of `x`.
    pub total: f64,
}

impl Fit {
    /// Through at least three points at two or more places.
    pub fn of(points: &[(f64, f64)]) -> Option<Fit> {
        let n = points.len() as f64;
        if points.len() < 3 {
            return None;
        }
        let mean = |f: &dyn Fn(&(f64, f64)) -> f64| points.iter().map(f).sum::<f64>() / n;
        let (mx, my) = (mean(&|p| p.0), mean(&|p| p.1));
        let sxx: f64 = points.iter().map(|p| (p.0 - mx).powi(2)).sum();
        if sxx <= 0.0 {
            return None;
        }
        let sxy: f64 = points.iter().map(|p| (p.0 - mx) * (p.1 - my)).sum();
        let slope = sxy / sxx;
        let rest: f64 = points
            .iter()
            .map(|p| (p.1 - my - slope * (p.0 - mx)).powi(2))
            .sum();
        let (low, high) = points
            .iter()
            .fold((f64::MAX, f64::MIN), |(l, h), p| (l.min(p.0), h.max(p.0)));
        Some(Fit {
            slope,
            error: student(points.len() - 2) * (rest / (n - 2.0) / sxx).sqrt(),
            total: slope * (high - low),
        })
    }

    /// Whether the slope can not be told from 0.
    pub fn is_flat(&self) -> bool {
        self.slope.abs() <= self.error
    }
}

/// 97.5 % quantile of Student's distribution, from above.
fn student(degrees: usize) -> f64 {
    match degrees {
        0 | 1 => 12.71,
        2 => 4.31,
        3 => 3.19,
        4 => 2.78,
        5 => 2.58,
        6..10 => 2.45,
        10..20 => 2.23,
        20..60 => 2.09,
        _ => 2.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_its_slope_and_noise_has_none() {
        let line: Vec<_> = (0..10)
            .map(|i| (f64::from(i), 3.0 + 2.0 * f64::from(i)))
            .collect();
        let fit = Fit::of(&line).expect("ten points");
        assert!((fit.slope - 2.0).abs() < 1e-9 && !fit.is_flat());
        assert!((fit.total - 18.0).abs() < 1e-9);
        let noise: Vec<_> = (0..10)
            .map(|i| (f64::from(i), f64::from(i * 7 % 5)))
            .collect();
        assert!(Fit::of(&noise).expect("ten points").is_flat());
        assert!(Fit::of(&[(1.0, 1.0), (1.0, 2.0), (1.0, 3.0)]).is_none());
    }
}
