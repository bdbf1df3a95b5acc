//! Where boxes go: columns by depth, few crossings, short arrows. Knows numbers only.
//!
//! The layered layout of Sugiyama, Tagawa and Toda (1981): longest-path layers, long edges cut by points in the columns that
//! they cross, order within columns by barycentres, and heights nearest to the neighbours' mean without overlap (isotonic
//! regression by pooling adjacent violators).

use std::collections::{BTreeMap, BTreeSet};

/// What is laid out: the height of each box, and edges from lower to higher places.
#[derive(Clone, Debug)]
pub(super) struct Boxes {
    pub(super) heights: Vec<f64>,
    pub(super) edges: BTreeSet<(usize, usize)>,
}

/// Where everything is.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    /// Column of each box.
    pub(super) columns: Vec<usize>,
    /// Middle of each box from the top.
    pub(super) middles: Vec<f64>,
    /// For each edge, where it crosses the columns between its ends.
    pub(super) bends: BTreeMap<(usize, usize), Vec<f64>>,
    /// Lowest point.
    pub(super) height: f64,
}

/// Room between two boxes of a column.
const GAP: f64 = 8.0;
/// Height of an edge where it crosses a column.
const LANE: f64 = 3.0;
/// Passes over all columns: later ones change little.
const PASSES: usize = 12;

/// Edges without those that a longer way says too. Takes memory for all pairs of boxes.
pub(super) fn reduced(n: usize, edges: &BTreeSet<(usize, usize)>) -> BTreeSet<(usize, usize)> {
    let mut after: Vec<Vec<usize>> = vec![Vec::new(); n];
    edges.iter().filter(|(from, to)| from < to).for_each(|(from, to)| after[*from].push(*to));
    let mut reached: Vec<BTreeSet<usize>> = vec![BTreeSet::new(); n];
    let mut kept = BTreeSet::new();
    for from in (0..n).rev() {
        let mut all = BTreeSet::new();
        // Nearer boxes first: what they reach needs no edge of its own.
        for to in &after[from] {
            if all.insert(*to) {
                kept.insert((from, *to));
                all.extend(reached[*to].iter().copied());
            }
        }
        reached[from] = all;
    }
    kept
}

/// Lays boxes out. Edges that do not lead to a higher place are left out.
pub(super) fn lay_out(boxes: &Boxes) -> Layout {
    let n = boxes.heights.len();
    let mut columns = vec![0_usize; n];
    let edges: Vec<(usize, usize)> = boxes.edges.iter().copied().filter(|(from, to)| from < to).collect();
    for (from, to) in &edges {
        columns[*to] = columns[*to].max(columns[*from] + 1);
    }
    // Sources move to just before what uses them.
    let mut first_use: Vec<Option<usize>> = vec![None; n];
    let mut is_source = vec![true; n];
    for (from, to) in &edges {
        first_use[*from] = Some(first_use[*from].map_or(columns[*to], |first| first.min(columns[*to])));
        is_source[*to] = false;
    }
    for place in 0..n {
        if let Some(first) = first_use[place].filter(|_| is_source[place]) {
            columns[place] = first - 1;
        }
    }

    let mut net = Net::new(&columns, &boxes.heights);
    let chains: BTreeMap<(usize, usize), Vec<usize>> =
        edges.iter().map(|(from, to)| ((*from, *to), net.connect(*from, *to))).collect();
    for pass in 0..PASSES {
        net.order(pass % 2 == 0);
    }
    net.stack();
    for pass in 0..PASSES {
        net.settle(pass % 2 == 0);
    }
    let middles: Vec<f64> = net.middles[..n].to_vec();
    let lift = net.points().map(|point| net.middles[point] - net.heights[point] / 2.0).fold(f64::INFINITY, f64::min);
    let lift = if lift.is_finite() { lift } else { 0.0 };
    let height = net.points().map(|point| net.middles[point] + net.heights[point] / 2.0 - lift).fold(0.0, f64::max);
    Layout {
        columns,
        middles: middles.iter().map(|middle| middle - lift).collect(),
        bends: chains
            .into_iter()
            .map(|(ends, chain)| (ends, chain.into_iter().map(|point| net.middles[point] - lift).collect()))
            .collect(),
        height,
    }
}

/// Boxes and the points at which edges cross columns, in columns; edges join neighbouring columns only.
struct Net {
    columns: Vec<Vec<usize>>,
    column_of: Vec<usize>,
    heights: Vec<f64>,
    middles: Vec<f64>,
    before: Vec<Vec<usize>>,
    after: Vec<Vec<usize>>,
}

impl Net {
    fn new(column_of: &[usize], heights: &[f64]) -> Self {
        let n = heights.len();
        let mut columns = vec![Vec::new(); column_of.iter().max().map_or(0, |last| last + 1)];
        column_of.iter().enumerate().for_each(|(place, column)| columns[*column].push(place));
        Self {
            columns,
            column_of: column_of.to_vec(),
            heights: heights.to_vec(),
            middles: vec![0.0; n],
            before: vec![Vec::new(); n],
            after: vec![Vec::new(); n],
        }
    }

    fn points(&self) -> std::ops::Range<usize> {
        0..self.heights.len()
    }

    /// Joins two boxes through a point in each column between them; gives these points.
    fn connect(&mut self, from: usize, to: usize) -> Vec<usize> {
        let mut chain = Vec::new();
        let mut last = from;
        for column in self.column_of[from] + 1..self.column_of[to] {
            let point = self.heights.len();
            self.columns[column].push(point);
            self.column_of.push(column);
            self.heights.push(LANE);
            self.middles.push(0.0);
            self.before.push(Vec::new());
            self.after.push(Vec::new());
            self.join(last, point);
            chain.push(point);
            last = point;
        }
        self.join(last, to);
        chain
    }

    fn join(&mut self, from: usize, to: usize) {
        self.after[from].push(to);
        self.before[to].push(from);
    }

    /// Sorts each column by the mean rank of its neighbours on one side.
    fn order(&mut self, forwards: bool) {
        let mut ranks = vec![0.0; self.heights.len()];
        for column in &self.columns {
            column.iter().enumerate().for_each(|(rank, point)| ranks[*point] = rank as f64);
        }
        let n = self.columns.len();
        for at in 0..n {
            let column = if forwards { at } else { n - 1 - at };
            let sides = if forwards { &self.before } else { &self.after };
            let key = |point: &usize| mean(sides[*point].iter().map(|other| ranks[*other])).unwrap_or(ranks[*point]);
            let mut keyed: Vec<(f64, usize)> = self.columns[column].iter().map(|point| (key(point), *point)).collect();
            // A stable sort keeps plan order where nothing else decides.
            keyed.sort_by(|one, other| one.0.total_cmp(&other.0));
            for (rank, (_, point)) in keyed.iter().enumerate() {
                ranks[*point] = rank as f64;
                self.columns[column][rank] = *point;
            }
        }
    }

    /// Puts the points of each column under each other.
    fn stack(&mut self) {
        for column in &self.columns {
            let mut top = 0.0;
            for point in column {
                self.middles[*point] = top + self.heights[*point] / 2.0;
                top += self.heights[*point] + GAP;
            }
        }
    }

    /// Moves the points of each column as near to their neighbours on one side as their order and size allow.
    fn settle(&mut self, forwards: bool) {
        let n = self.columns.len();
        for at in 0..n {
            let column = &self.columns[if forwards { at } else { n - 1 - at }];
            let sides = if forwards { &self.before } else { &self.after };
            // Without sizes and gaps, no overlap is: not falling.
            let mut offsets = Vec::with_capacity(column.len());
            let mut below = 0.0;
            for point in column {
                offsets.push(below + self.heights[*point] / 2.0);
                below += self.heights[*point] + GAP;
            }
            let wanted = column.iter().zip(&offsets).map(|(point, offset)| {
                let near = mean(sides[*point].iter().map(|other| self.middles[*other]));
                near.unwrap_or(self.middles[*point]) - offset
            });
            let found = not_falling(wanted);
            for ((point, offset), value) in column.iter().zip(&offsets).zip(found) {
                self.middles[*point] = value + offset;
            }
        }
    }
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, n) = values.fold((0.0, 0_usize), |(sum, n), value| (sum + value, n + 1));
    (n > 0).then(|| sum / n as f64)
}

/// The values nearest to the wanted ones, in squares, that do not fall from one to the next.
fn not_falling(wanted: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut pools: Vec<(f64, usize)> = Vec::new();
    for value in wanted {
        let mut pool = (value, 1);
        while let Some((level, n)) = pools.pop_if(|(level, _)| *level > pool.0) {
            let all = n + pool.1;
            pool = ((level * n as f64 + pool.0 * pool.1 as f64) / all as f64, all);
        }
        pools.push(pool);
    }
    pools.into_iter().flat_map(|(level, n)| std::iter::repeat_n(level, n)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(edges: &[(usize, usize)]) -> BTreeSet<(usize, usize)> {
        edges.iter().copied().collect()
    }

    #[test]
    fn edges_that_a_longer_way_says_too_are_left_out() {
        assert_eq!(reduced(4, &set(&[(0, 1), (1, 2), (0, 2), (2, 3), (0, 3)])), set(&[(0, 1), (1, 2), (2, 3)]));
        assert_eq!(reduced(3, &set(&[(0, 2), (1, 2)])), set(&[(0, 2), (1, 2)]));
    }

    #[test]
    fn boxes_of_a_column_never_overlap_and_edges_lead_to_the_right() {
        // Two fans of different sizes that meet in one end, and an edge over several columns.
        let mut edges = set(&[(0, 50), (0, 51)]);
        for leaf in 2..40 {
            edges.extend([(leaf % 2, leaf), (leaf, 50)]);
        }
        edges.insert((50, 51));
        let heights: Vec<f64> = (0..52).map(|place| 20.0 + f64::from(place % 3)).collect();
        let layout = lay_out(&Boxes { heights: heights.clone(), edges: edges.clone() });
        assert!(edges.iter().all(|(from, to)| layout.columns[*from] < layout.columns[*to]));
        assert_eq!(layout.bends[&(0, 51)].len(), layout.columns[51] - layout.columns[0] - 1);
        for one in 0..52 {
            for other in 0..one {
                let apart = (layout.middles[one] - layout.middles[other]).abs();
                let touch = (heights[one] + heights[other]) / 2.0;
                assert!(layout.columns[one] != layout.columns[other] || apart > touch + GAP - 1e-6);
            }
            assert!(layout.middles[one] >= heights[one] / 2.0 - 1e-6);
            assert!(layout.middles[one] + heights[one] / 2.0 <= layout.height + 1e-6);
        }
    }

    #[test]
    fn two_strands_do_not_cross() {
        let layout = lay_out(&Boxes { heights: vec![10.0; 6], edges: set(&[(0, 3), (1, 2), (2, 5), (3, 4)]) });
        let above = |one: usize, other: usize| layout.middles[one] < layout.middles[other];
        assert_eq!([above(0, 1), above(3, 2), above(4, 5)], [true; 3].map(|_| above(0, 1)));
    }

    #[test]
    fn values_that_fall_are_pooled() {
        assert_eq!(not_falling([1.0, 3.0, 2.0, 4.0].into_iter()), [1.0, 2.5, 2.5, 4.0]);
        assert_eq!(not_falling([3.0, 2.0, 1.0].into_iter()), [2.0; 3]);
    }
}
