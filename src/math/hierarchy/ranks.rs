//! Spearman's rho and Kendall's tau-b of two lists, one of which may be rearranged.
//!
//! Both are sums over what does not change with the order, so they are prepared once for many orders. It does not know
//! which orders are looked at. Neither list may be constant.

/// Mid-ranks about their mean, in units of their norm.
pub(super) struct MidRanks(Vec<f64>);

impl MidRanks {
    pub fn of(values: &[f64]) -> Self {
        let count = |keep: &dyn Fn(f64) -> bool| values.iter().filter(|&&v| keep(v)).count() as f64;
        // A rank of a value is half the number of values below it and not above it; twice that about its mean is whole.
        let centred: Vec<f64> = values.iter().map(|&value| count(&|v| v < value) - count(&|v| v > value)).collect();
        let norm = centred.iter().map(|v| v * v).sum::<f64>().sqrt();
        Self(centred.into_iter().map(|v| v / norm).collect())
    }

    /// Spearman's rho with the `other` list, of which entry `places[i]` is put against entry `i`.
    pub fn rho(&self, other: &Self, places: &[usize]) -> f64 {
        let product: f64 = self.0.iter().zip(places).map(|(rank, &place)| rank * other.0[place]).sum();
        product.clamp(-1.0, 1.0)
    }
}

/// Which of each two entries is larger, in both lists.
pub(super) struct Concordance {
    n: usize,
    /// Sign of every difference (n x n), in either list.
    signs: [Vec<i8>; 2],
    /// Root of the product of the numbers of pairs that are not tied.
    scale: f64,
}

impl Concordance {
    pub fn of(a: &[f64], b: &[f64]) -> Self {
        let signs = |list: &[f64]| -> Vec<i8> {
            list.iter().flat_map(|x| list.iter().map(move |y| i8::from(x > y) - i8::from(x < y))).collect()
        };
        let signs = [signs(a), signs(b)];
        let n_untied = |signs: &[i8]| signs.iter().filter(|&&sign| sign > 0).count() as f64;
        let scale = (n_untied(&signs[0]) * n_untied(&signs[1])).sqrt();
        Self { n: a.len(), signs, scale }
    }

    /// Kendall's tau-b when entry `places[i]` of the second list is put against entry `i` of the first.
    pub fn tau(&self, places: &[usize]) -> f64 {
        let mut excess = 0i64;
        for i in 0..self.n {
            for j in 0..i {
                let (a, b) = (self.signs[0][i * self.n + j], self.signs[1][places[i] * self.n + places[j]]);
                excess += i64::from(a * b);
            }
        }
        (excess as f64 / self.scale).clamp(-1.0, 1.0)
    }
}
