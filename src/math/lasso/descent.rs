//! The lasso of one sample on a Gram matrix: coordinate descent that finishes with a solve.
//!
//! Owns the steps and the stopping rule. Correlations and Gram matrix come from [`super`] or from dictionary learning.

use ndarray::{Array2, ArrayView2, ArrayViewMut2};

/// `1/2 ||s - D c||^2 + penalty ||c||_1` for samples that share patterns D.
pub(in crate::math) struct Descent {
    /// `D'D` (n_patterns x n_patterns) in standard order.
    pub gram: Array2<f64>,
    pub penalty: f64,
    /// Duality gap, relative to the power of a sample, at which it is done.
    pub tolerance: f64,
    /// Sweeps over the coordinates after which a sample is given up.
    pub max_sweeps: usize,
}

/// Where a descent stopped.
#[derive(Debug, Clone, Copy)]
pub(in crate::math) struct DescentEnd {
    /// `||s - D c||^2`
    pub residual_power: f64,
    /// `||c||_1`
    pub l1: f64,
    pub is_converged: bool,
}

/// Room for one sample at a time.
#[derive(Default)]
struct Scratch {
    correlation: Vec<f64>,
    /// `D'(s - D c)`
    slope: Vec<f64>,
    /// Coordinates that are not 0.
    support: Vec<usize>,
    /// Triangle of the support's Gram matrix, then of its Cholesky factor, row by row.
    factor: Vec<f64>,
    solution: Vec<f64>,
}

impl Descent {
    /// Codes samples one by one; `codes` (n_samples x n_patterns) holds the starting points.
    pub fn run_all(
        &self,
        correlations: ArrayView2<'_, f32>,
        power: &[f64],
        mut codes: ArrayViewMut2<'_, f64>,
    ) -> Vec<DescentEnd> {
        let mut scratch = Scratch::default();
        let samples = codes.outer_iter_mut().zip(correlations.outer_iter()).zip(power);
        samples
            .map(|((mut code, correlation), &power)| {
                scratch.correlation.clear();
                scratch.correlation.extend(correlation.iter().map(|&v| f64::from(v)));
                let code = code.as_slice_mut().expect("codes are stored sample by sample");
                self.run(power, code, &mut scratch)
            })
            .collect()
    }

    fn gram_row(&self, j: usize) -> &[f64] {
        let n_patterns = self.gram.ncols();
        &self.gram.as_slice().expect("a product is stored in standard order")[j * n_patterns..(j + 1) * n_patterns]
    }

    /// Sweeps until the duality gap closes, trying a solve on the support whenever a sweep leaves its signs alone.
    fn run(&self, power: f64, code: &mut [f64], scratch: &mut Scratch) -> DescentEnd {
        self.set_slope(code, scratch);
        let mut end = self.measure(power, code, scratch);
        for _ in 0..self.max_sweeps {
            if end.is_converged {
                break;
            }
            let kept_signs = self.sweep(code, &mut scratch.slope);
            if kept_signs {
                self.solve_on_support(code, scratch);
            }
            end = self.measure(power, code, scratch);
        }
        end
    }

    fn set_slope(&self, code: &[f64], scratch: &mut Scratch) {
        scratch.slope.clone_from(&scratch.correlation);
        for (j, &value) in code.iter().enumerate().filter(|(_, v)| **v != 0.0) {
            scratch.slope.iter_mut().zip(self.gram_row(j)).for_each(|(s, g)| *s -= value * g);
        }
    }

    /// Minimises over each coordinate in turn; says whether every sign stayed what it was.
    fn sweep(&self, code: &mut [f64], slope: &mut [f64]) -> bool {
        let mut kept_signs = true;
        for j in 0..code.len() {
            if code[j] == 0.0 && slope[j].abs() <= self.penalty {
                continue;
            }
            let row = self.gram_row(j);
            let curvature = row[j];
            if curvature <= 0.0 {
                continue;
            }
            let updated = soft_threshold(slope[j] + curvature * code[j], self.penalty) / curvature;
            let change = updated - code[j];
            if change != 0.0 {
                kept_signs &= sign(updated) == sign(code[j]);
                code[j] = updated;
                slope.iter_mut().zip(row).for_each(|(s, g)| *s -= change * g);
            }
        }
        kept_signs
    }

    /// Moves to the minimum over the support with its signs held, `G_aa c_a = q_a - penalty sign(c_a)`, or to the first
    /// coordinate on the way that becomes 0 (feature-sign search, Lee 2007, algorithm 1).
    ///
    /// Inside the orthant the objective is that quadratic, so it falls all along the way. Where the support's Gram matrix is
    /// singular up to rounding nothing happens, and sweeps go on.
    fn solve_on_support(&self, code: &mut [f64], scratch: &mut Scratch) {
        scratch.support.clear();
        scratch.support.extend((0..code.len()).filter(|&j| code[j] != 0.0));
        if !self.factorise(scratch) {
            return;
        }
        let Scratch { correlation, support, factor, solution, .. } = &mut *scratch;
        solution.clear();
        for (row, &j) in support.iter().enumerate() {
            let lower = &factor[triangle(row)..];
            let known: f64 = solution.iter().zip(lower).map(|(x, l)| x * l).sum();
            let right = correlation[j] - self.penalty * sign(code[j]);
            solution.push((right - known) / lower[row]);
        }
        for row in (0..support.len()).rev() {
            let lower = &factor[triangle(row)..=triangle(row) + row];
            let value = solution[row] / lower[row];
            solution[row] = value;
            solution[..row].iter_mut().zip(lower).for_each(|(x, l)| *x -= value * l);
        }
        let crossing =
            |(&j, &value): (&usize, &f64)| (sign(value) != sign(code[j])).then(|| (code[j] / (code[j] - value), j));
        let first = support.iter().zip(&*solution).filter_map(crossing).min_by(|a, b| a.0.total_cmp(&b.0));
        let share = first.map_or(1.0, |(share, _)| share);
        for (&j, &value) in support.iter().zip(&*solution) {
            code[j] += share * (value - code[j]);
        }
        if let Some((_, j)) = first {
            code[j] = 0.0;
        }
        self.set_slope(code, scratch);
    }

    /// Cholesky factor of the support's Gram matrix; `false` when a pivot vanishes.
    fn factorise(&self, scratch: &mut Scratch) -> bool {
        let Scratch { support, factor, .. } = scratch;
        factor.clear();
        for (row, &j) in support.iter().enumerate() {
            let gram = self.gram_row(j);
            let start = factor.len();
            for (column, &other) in support[..=row].iter().enumerate() {
                let (done, current) = factor.split_at(start);
                let known: f64 = if column == row {
                    current.iter().map(|v| v * v).sum()
                } else {
                    let other = &done[triangle(column)..triangle(column) + column];
                    current.iter().zip(other).map(|(a, b)| a * b).sum()
                };
                let rest = gram[other] - known;
                if column < row {
                    let pivot = done[triangle(column) + column];
                    factor.push(rest / pivot);
                } else if rest > SINGULAR_PIVOT * gram[j] {
                    factor.push(rest.sqrt());
                } else {
                    return false;
                }
            }
        }
        true
    }

    /// Duality gap with the residual, scaled into the feasible set, as the dual point.
    ///
    /// Written in `D'D`, `D's` and `||s||^2` alone; at the minimum `||s||^2` cancels, so rounding of the correlations does
    /// not keep the gap from closing.
    fn measure(&self, power: f64, code: &[f64], scratch: &Scratch) -> DescentEnd {
        let (mut q_dot_c, mut slope_dot_c, mut l1) = (0.0, 0.0, 0.0f64);
        let mut steepest = 0.0f64;
        for ((&c, &q), &slope) in code.iter().zip(&scratch.correlation).zip(&scratch.slope) {
            q_dot_c += q * c;
            slope_dot_c += slope * c;
            l1 += c.abs();
            steepest = steepest.max(slope.abs());
        }
        // ||s - D c||^2 = ||s||^2 - q'c - (q - G c)'c
        let residual_power = power - q_dot_c - slope_dot_c;
        let scale = if steepest > self.penalty { self.penalty / steepest } else { 1.0 };
        let gap = 0.5 * residual_power * (1.0 + scale * scale) + self.penalty * l1 - scale * (power - q_dot_c);
        // Rounding of the correlations can make a vanishing residual negative; only the gap needs it as it is.
        DescentEnd { residual_power: residual_power.max(0.0), l1, is_converged: gap <= self.tolerance * power }
    }
}

/// Pivot, relative to its diagonal entry, below which a support counts as collinear.
const SINGULAR_PIVOT: f64 = 1e-10;

/// Where a row of a triangle stored row by row begins.
fn triangle(row: usize) -> usize {
    row * (row + 1) / 2
}

/// -1, 0 or 1.
fn sign(value: f64) -> f64 {
    if value == 0.0 { 0.0 } else { value.signum() }
}

fn soft_threshold(value: f64, threshold: f64) -> f64 {
    if value > threshold {
        value - threshold
    } else if value < -threshold {
        value + threshold
    } else {
        0.0
    }
}
