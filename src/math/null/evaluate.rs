//! Correlations of rearranged data with their prediction, for a handful of targets at a time.
//!
//! Owns two ways to the same sum. *Direct*: walk the samples, once for every distinct order. *Products*: since blocks
//! stay whole, a correlation is a sum over blocks of the inner product of a data block with the stretch of the
//! prediction it lands on; every such product that can occur is computed once, and an order costs one addition a block.
//! It does not know what the correlations are compared with.

use std::collections::HashMap;

use ndarray::ArrayView2;

use super::arrangement::{Rearrangement, Span, blocks_in_order};
use crate::math::scores::unit_columns;

/// Targets evaluated together: 900 samples of these are 115 kB, so that data and prediction stay in a core's own cache, and
/// a table entry fills whole cache lines.
pub(super) const LANES: usize = 32;

/// Largest table of products one task may hold.
const MAX_TABLE_BYTES: usize = 16 << 20;

/// One sample, or one sum, of a block of targets.
pub(super) type Row = [f32; LANES];

/// Columns of unit norm, filled up with columns of 0 to the width of a block, and which of them vary.
pub(super) fn full_block(columns: ArrayView2<'_, f32>) -> (Vec<Row>, Vec<bool>) {
    let (unit, varies) = unit_columns(columns);
    let fill = |row: ndarray::ArrayView1<'_, f32>| {
        let mut full = [0.0; LANES];
        full.iter_mut().zip(row).for_each(|(to, &from)| *to = from);
        full
    };
    (unit.outer_iter().map(fill).collect(), varies)
}

/// The inner loop, apart and of fixed width because only so does the compiler keep the sums in registers.
#[inline(never)]
fn add_products(sums: &mut Row, data: &[Row], prediction: &[Row]) {
    for (y, p) in data.iter().zip(prediction) {
        for ((sum, y), p) in sums.iter_mut().zip(y).zip(p) {
            *sum += y * p;
        }
    }
}

/// Correlation of each column when the data are laid out in the order of `spans`.
fn correlate(data: &[Row], prediction: &[Row], spans: &[Span]) -> Row {
    let mut sums = [0.0; LANES];
    let mut to = 0;
    for span in spans {
        add_products(&mut sums, &data[span.from..span.from + span.length], &prediction[to..to + span.length]);
        to += span.length;
    }
    sums
}

/// Which way is cheaper for a whole test; a function of sizes alone, so that every target goes the same way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Method {
    /// Walk the samples.
    Direct,
    /// Add products of blocks.
    Products(BlockGrid),
}

impl Method {
    /// Counts operations a target: products of all pairs of blocks once and an addition a block and draw, against a
    /// product a sample and draw. Additions count double, for they jump about in the table.
    pub fn choose(rearrangement: Rearrangement, n_samples: usize, n_permutations: usize) -> Self {
        let Rearrangement::Blocks { block_tr } = rearrangement else { return Self::Direct };
        let grid = BlockGrid::new(n_samples, block_tr);
        let table = grid.n_entries().saturating_mul(block_tr);
        let additions = grid.n_blocks().saturating_mul(2).saturating_mul(n_permutations);
        let cheaper = table.saturating_add(additions) < n_samples.saturating_mul(n_permutations);
        let fits = grid.n_entries().saturating_mul(size_of::<Row>()) <= MAX_TABLE_BYTES;
        if cheaper && fits { Self::Products(grid) } else { Self::Direct }
    }
}

/// Blocks of one length and perhaps a shorter one, and where their products with the prediction stand in a table.
///
/// A block of full length lands on a multiple of `block` samples while the shorter one still lies behind it in time, and
/// on a multiple plus `short` once that one has passed; so there are two products for each pair, and one for each place
/// of the shorter block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::math) struct BlockGrid {
    /// Blocks of full length.
    pub n_full: usize,
    /// Samples of such a block.
    pub block: usize,
    /// Samples of the shorter block; 0 when there is none.
    pub short: usize,
}

impl BlockGrid {
    pub fn new(n_samples: usize, block_tr: usize) -> Self {
        Self { n_full: n_samples / block_tr, block: block_tr, short: n_samples % block_tr }
    }

    fn n_blocks(&self) -> usize {
        self.n_full + usize::from(self.short > 0)
    }

    pub fn n_pairs(&self) -> usize {
        self.n_full.saturating_mul(self.n_full)
    }

    pub fn n_entries(&self) -> usize {
        let n_pairs = self.n_pairs();
        if self.short == 0 { n_pairs } else { n_pairs.saturating_mul(2).saturating_add(self.n_full + 1) }
    }

    /// The entry for a span of the data that lands on sample `to`.
    pub fn entry(&self, span: Span, to: usize) -> usize {
        let (source, place) = (span.from / self.block, to / self.block);
        if source == self.n_full {
            2 * self.n_pairs() + place
        } else {
            let behind_the_short_one = !to.is_multiple_of(self.block);
            usize::from(behind_the_short_one) * self.n_pairs() + source * self.n_full + place
        }
    }

    /// Entries of one order, in time order of the prediction.
    fn entries<'a>(&'a self, order: &'a [Span]) -> impl Iterator<Item = u32> + 'a {
        let mut to = 0;
        order.iter().map(move |&span| {
            let entry = self.entry(span, to);
            to += span.length;
            u32::try_from(entry).expect("a table within its largest size has fewer entries")
        })
    }

    fn products(&self, data: &[Row], prediction: &[Row]) -> Vec<Row> {
        let mut table = vec![[0.0; LANES]; self.n_entries()];
        let shifts: &[usize] = if self.short == 0 { &[0] } else { &[0, self.short] };
        for source in 0..self.n_full {
            let from = source * self.block;
            for &shift in shifts {
                for place in 0..self.n_full {
                    let to = place * self.block + shift;
                    let entry = self.entry(Span { from, length: self.block }, to);
                    add_products(&mut table[entry], &data[from..from + self.block], &prediction[to..to + self.block]);
                }
            }
        }
        if self.short > 0 {
            let from = self.n_full * self.block;
            for place in 0..=self.n_full {
                let to = place * self.block;
                let entry = self.entry(Span { from, length: self.short }, to);
                add_products(&mut table[entry], &data[from..], &prediction[to..to + self.short]);
            }
        }
        table
    }
}

/// A run of draws in the form that every block of targets needs them.
#[derive(Debug)]
pub(super) enum Draws {
    /// The distinct orders, and which of them each draw is.
    Direct { distinct: Vec<Vec<Span>>, which: Vec<u32> },
    /// Table entries of each draw, `n_blocks` at a time.
    Products { grid: BlockGrid, in_order: Vec<u32>, entries: Vec<u32> },
}

impl Draws {
    pub fn new(method: Method, orders: Vec<Vec<Span>>) -> Self {
        match method {
            Method::Direct => {
                let mut known: HashMap<Vec<Span>, u32> = HashMap::new();
                let mut distinct = Vec::new();
                let which = orders
                    .into_iter()
                    .map(|order| {
                        *known.entry(order).or_insert_with_key(|order| {
                            distinct.push(order.clone());
                            u32::try_from(distinct.len() - 1).expect("a round draws a few thousand orders")
                        })
                    })
                    .collect();
                Self::Direct { distinct, which }
            }
            Method::Products(grid) => {
                let n_samples = grid.n_full * grid.block + grid.short;
                let in_order = grid.entries(&blocks_in_order(n_samples, grid.block)).collect();
                let entries = orders.iter().flat_map(|order| grid.entries(order)).collect();
                Self::Products { grid, in_order, entries }
            }
        }
    }

    pub fn len(&self) -> usize {
        match self {
            Self::Direct { which, .. } => which.len(),
            Self::Products { grid, entries, .. } => entries.len() / grid.n_blocks(),
        }
    }
}

/// Observed and null correlations of one block of targets, both by the same sums.
pub(super) struct Evaluation<'a> {
    draws: &'a Draws,
    data: &'a [Row],
    prediction: &'a [Row],
    /// Products of blocks, or the correlations of the distinct orders met so far.
    table: Vec<Row>,
    met: Vec<bool>,
}

impl<'a> Evaluation<'a> {
    pub fn new(draws: &'a Draws, data: &'a [Row], prediction: &'a [Row]) -> Self {
        let (table, met) = match draws {
            Draws::Direct { distinct, .. } => (vec![[0.0; LANES]; distinct.len()], vec![false; distinct.len()]),
            Draws::Products { grid, .. } => (grid.products(data, prediction), Vec::new()),
        };
        Self { draws, data, prediction, table, met }
    }

    pub fn observed(&self) -> Row {
        match self.draws {
            Draws::Direct { .. } => correlate(self.data, self.prediction, &[Span { from: 0, length: self.data.len() }]),
            Draws::Products { in_order, .. } => add_entries(&self.table, in_order),
        }
    }

    pub fn draw(&mut self, index: usize) -> Row {
        match self.draws {
            Draws::Direct { distinct, which } => {
                let order = which[index] as usize;
                if !self.met[order] {
                    self.table[order] = correlate(self.data, self.prediction, &distinct[order]);
                    self.met[order] = true;
                }
                self.table[order]
            }
            Draws::Products { grid, entries, .. } => {
                let n = grid.n_blocks();
                add_entries(&self.table, &entries[index * n..(index + 1) * n])
            }
        }
    }
}

#[inline(never)]
fn add_entries(table: &[Row], entries: &[u32]) -> Row {
    let mut sums = [0.0; LANES];
    for &entry in entries {
        for (sum, product) in sums.iter_mut().zip(&table[entry as usize]) {
            *sum += product;
        }
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::math::null::arrangement::draw;
    use proptest::prelude::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    fn rows(n_samples: usize, step: f32) -> Vec<Row> {
        (0..n_samples).map(|t| std::array::from_fn(|j| ((t * LANES + j) as f32 * step).sin())).collect()
    }

    /// The definition, in f64: sample `t` of the rearranged data times sample `t` of the prediction.
    fn by_definition(data: &[Row], prediction: &[Row], order: &[Span], lane: usize) -> f64 {
        let rearranged = order.iter().flat_map(|span| span.from..span.from + span.length);
        rearranged.zip(prediction).map(|(t, p)| f64::from(data[t][lane]) * f64::from(p[lane])).sum()
    }

    #[test]
    fn the_cheaper_way_is_chosen() {
        let usual = Rearrangement::Blocks { block_tr: 10 };
        assert!(matches!(Method::choose(usual, 900, 1000), Method::Products(_)));
        assert_eq!(Method::choose(usual, 900, 50), Method::Direct);
        assert_eq!(Method::choose(Rearrangement::Blocks { block_tr: 1 }, 900, 100_000), Method::Direct);
        assert_eq!(Method::choose(Rearrangement::CircularShift { min_shift_tr: 9 }, 900, 1000), Method::Direct);
    }

    proptest! {
        #[test]
        fn both_ways_equal_the_definition(n_samples in 4usize..70, block_tr in 1usize..12, seed in 0u64..1000) {
            prop_assume!(n_samples > block_tr);
            let rearrangement = Rearrangement::Blocks { block_tr };
            let (data, prediction) = (rows(n_samples, 0.37), rows(n_samples, 0.73));
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let mut orders = vec![blocks_in_order(n_samples, block_tr)];
            orders.extend((0..20).map(|_| draw(rearrangement, n_samples, &mut rng)));
            for method in [Method::Direct, Method::Products(BlockGrid::new(n_samples, block_tr))] {
                let draws = Draws::new(method, orders.clone());
                prop_assert_eq!(draws.len(), orders.len());
                let mut evaluation = Evaluation::new(&draws, &data, &prediction);
                prop_assert_eq!(evaluation.observed(), evaluation.draw(0), "the natural order ties with itself");
                for (index, order) in orders.iter().enumerate() {
                    let found = evaluation.draw(index);
                    for (lane, &found) in found.iter().enumerate() {
                        let expected = by_definition(&data, &prediction, order, lane);
                        prop_assert!((f64::from(found) - expected).abs() < 1e-4, "{} {}", found, expected);
                    }
                }
            }
        }
    }
}
