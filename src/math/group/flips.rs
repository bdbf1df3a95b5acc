//! Sums over subjects under many patterns of signs, for a handful of voxels at a time.
//!
//! Blocks of subjects are taken eight at a time; the sums of such a group under its 256 patterns are tabulated once, so
//! that a pattern of all signs costs one addition a group instead of one a subject. It does not know what a sum is
//! compared with.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Voxels summed together: one table entry of so many f64 is one cache line.
pub(super) const LANES: usize = 8;

/// Blocks of subjects in one table.
const GROUP: usize = 8;

/// One sum of every voxel of a block.
pub(super) type Row = [f64; LANES];

/// Patterns of signs over blocks of subjects, one bit a block, set where the block's values change sign.
#[derive(Debug)]
pub(super) struct Patterns {
    n_blocks: usize,
    bytes: Vec<u8>,
}

impl Patterns {
    /// All patterns, of which the first changes no sign.
    pub fn all(n_blocks: usize) -> Self {
        let n_bytes = n_blocks.div_ceil(GROUP);
        let pattern = |index: u64| (0..n_bytes).map(move |group| (index >> (group * GROUP)) as u8);
        Self { n_blocks, bytes: (0..1u64 << n_blocks).flat_map(pattern).collect() }
    }

    /// Patterns drawn with replacement, every sign by itself.
    pub fn random(n_blocks: usize, n_patterns: usize, seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let n_bytes = n_blocks.div_ceil(GROUP);
        let mut bytes = vec![0u8; n_bytes * n_patterns];
        for pattern in bytes.chunks_exact_mut(n_bytes) {
            for (group, byte) in pattern.iter_mut().enumerate() {
                let n_signs = GROUP.min(n_blocks - group * GROUP);
                *byte = rng.random::<u8>() & (u8::MAX >> (GROUP - n_signs));
            }
        }
        Self { n_blocks, bytes }
    }

    pub fn iter(&self) -> std::slice::ChunksExact<'_, u8> {
        self.bytes.chunks_exact(self.n_blocks.div_ceil(GROUP))
    }
}

/// Sums of each group of blocks under all patterns of their signs.
pub(super) struct SumTables {
    tables: Vec<Vec<Row>>,
}

impl SumTables {
    /// Tabulates the sums of each block of subjects (n_blocks).
    pub fn of(blocks: &[Row]) -> Self {
        let table = |group: &[Row]| {
            let sum = |pattern: usize| {
                let mut sums = [0.0; LANES];
                for (bit, block) in group.iter().enumerate() {
                    let sign = if pattern >> bit & 1 == 1 { -1.0 } else { 1.0 };
                    sums.iter_mut().zip(block).for_each(|(sum, v)| *sum += sign * v);
                }
                sums
            };
            (0..1 << group.len()).map(sum).collect()
        };
        Self { tables: blocks.chunks(GROUP).map(table).collect() }
    }

    /// Sums when no sign changes, by the additions of [`SumTables::sum`].
    pub fn unflipped(&self) -> Row {
        self.add(std::iter::repeat(&0))
    }

    /// Sums under one pattern.
    pub fn sum(&self, pattern: &[u8]) -> Row {
        self.add(pattern.iter())
    }

    fn add<'a>(&self, pattern: impl Iterator<Item = &'a u8>) -> Row {
        let mut sums = [0.0; LANES];
        for (table, &byte) in self.tables.iter().zip(pattern) {
            sums.iter_mut().zip(&table[usize::from(byte)]).for_each(|(sum, v)| *sum += v);
        }
        sums
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn all_patterns_are_distinct_and_start_with_no_change() {
        let patterns = Patterns::all(10);
        let seen: std::collections::BTreeSet<&[u8]> = patterns.iter().collect();
        assert_eq!((seen.len(), patterns.iter().len()), (1024, 1024));
        assert_eq!(patterns.iter().next().unwrap(), [0, 0]);
    }

    #[test]
    fn random_signs_are_even() {
        let patterns = Patterns::random(11, 20_000, 1);
        for block in 0..11 {
            let n_set = patterns.iter().filter(|p| p[block / 8] >> (block % 8) & 1 == 1).count();
            assert!(n_set.abs_diff(10_000) < 300, "{block}: {n_set}");
        }
        assert!(patterns.iter().all(|p| p[1] < 8), "no bit beyond the last block");
    }

    proptest! {
        #[test]
        fn sums_equal_the_definition(n_blocks in 1usize..20, seed in 0u64..1000) {
            let blocks: Vec<Row> = (0..n_blocks)
                .map(|b| std::array::from_fn(|j| f64::from(((b * LANES + j) as f32 * 0.7 + seed as f32).sin())))
                .collect();
            let tables = SumTables::of(&blocks);
            for pattern in Patterns::random(n_blocks, 10, seed).iter() {
                let opposite: Vec<u8> = pattern
                    .iter()
                    .enumerate()
                    .map(|(group, byte)| !byte & (u8::MAX >> (8 - 8.min(n_blocks - 8 * group))))
                    .collect();
                let (found, opposite) = (tables.sum(pattern), tables.sum(&opposite));
                for lane in 0..LANES {
                    let expected: f64 = (0..n_blocks)
                        .map(|b| if pattern[b / 8] >> (b % 8) & 1 == 1 { -blocks[b][lane] } else { blocks[b][lane] })
                        .sum();
                    prop_assert_eq!(found[lane], expected, "sums of few f32 are exact in f64");
                    prop_assert_eq!(found[lane], -opposite[lane]);
                }
            }
        }
    }
}
