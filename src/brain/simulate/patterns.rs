//! Which patterns drive voxels, alone or in pairs, and which voxels those are.
//!
//! Pairs are formed of patterns that hardly correlate, with each other and with all others that drive voxels: else it could
//! not be told from the data which of them a voxel follows. They are chosen greedily in an order that the seed gives.

use rand::RngExt;
use rand::seq::SliceRandom;

use super::planting::PlantedPatterns;
use super::truth::{LEAST_VARIANCE, PlantedPair, PlantedSet, PlantedSets, PlantedVoxel, SetKind};
use super::{SimulateError, SimulatedRun, generator, sources};
use crate::brain::mask::VoxelTable;

/// Loadings before scaling, for patterns of variance 1.
const LOADINGS: std::ops::Range<f64> = 0.5..1.5;

/// Shares the voxels of the networks out among patterns and gives them their loadings.
pub(super) fn plant(
    seed: u64,
    planted: &PlantedPatterns,
    table: &VoxelTable,
    runs: &[SimulatedRun<'_>],
    voxels: &mut [PlantedVoxel],
) -> Result<PlantedSets, SimulateError> {
    let courses = Courses::of_runs(runs)?;
    let (pairs, alone) = choose(seed, planted, &courses)?;
    let networks = planted.networks.iter().map(|name| sources::network(name, table)).collect::<Result<Vec<_>, _>>()?;
    let of_networks = |(_, of): &(usize, &[usize])| of.iter().any(|network| networks.contains(network));
    let shared_out: Vec<usize> =
        table.membership.rows().enumerate().filter(of_networks).map(|(voxel, _)| voxel).collect();
    if shared_out.len() < planted.n_sets() {
        return Err(SimulateError::TooFewVoxels { found: shared_out.len(), expected: planted.n_sets() });
    }
    let places = table.locations.voxels().expect("a simulated brain is a volume");
    let mut of_sets = compact_sets(shared_out, planted.n_sets(), places);
    of_sets.shuffle(&mut generator(seed, &["pattern-sets"]));

    let of_pairs = pairs.iter().enumerate().map(|(index, pair)| match index < planted.duplicates {
        true => (SetKind::Duplicate, vec![(pair.k, 1.0), (pair.j, 1.0)]),
        false => (SetKind::Mirrored, vec![(pair.k, 1.0), (pair.j, -1.0)]),
    });
    let of_one = alone.iter().map(|&pattern| (SetKind::Alone, vec![(pattern, 1.0)]));
    let sets: Vec<PlantedSet> = of_pairs
        .chain(of_one)
        .zip(of_sets)
        .map(|((kind, patterns), voxels)| PlantedSet { kind, patterns, voxels })
        .collect();
    for (index, set) in sets.iter().enumerate() {
        let correlation = pairs.get(index).map_or(0.0, |pair| pair.correlation);
        for &(pattern, sign) in &set.patterns {
            let mut rng = generator(seed, &["pattern-loadings", &pattern.to_string()]);
            for &voxel in &set.voxels {
                voxels[voxel].patterns.push((pattern, sign * rng.random_range(LOADINGS)));
            }
        }
        for &voxel in &set.voxels {
            let loadings = &mut voxels[voxel].patterns;
            let product: f64 = loadings.iter().map(|(_, loading)| loading).product();
            let squares: f64 = loadings.iter().map(|(_, loading)| loading * loading).sum();
            let variance = if loadings.len() == 2 { squares + 2.0 * correlation * product } else { squares };
            loadings.iter_mut().for_each(|(_, loading)| *loading /= variance.sqrt());
        }
    }
    Ok(PlantedSets { scales: courses.scales, sets, pairs })
}

/// The time courses of all runs, one below the other.
struct Courses {
    /// Of each pattern, with mean 0 and a sum of squares of 1; empty for one that is constant.
    standard: Vec<Vec<f64>>,
    /// What each is multiplied by to have variance 1, or 0.
    scales: Vec<f64>,
}

impl Courses {
    fn of_runs(runs: &[SimulatedRun<'_>]) -> Result<Self, SimulateError> {
        let mut standard: Vec<Vec<f64>> = Vec::new();
        for (index, run) in runs.iter().enumerate() {
            let name = || run.name.clone();
            let patterns = run.patterns.ok_or_else(|| SimulateError::NoPatterns { run: name() })?;
            let found = [patterns.nrows(), patterns.ncols()];
            let n_patterns = if index == 0 { found[1] } else { standard.len() };
            let expected = [run.units.nrows(), n_patterns];
            if found != expected {
                return Err(SimulateError::PatternShape { run: name(), found, expected });
            }
            if patterns.iter().any(|value| !value.is_finite()) {
                return Err(SimulateError::PatternNotFinite { run: name() });
            }
            standard.resize_with(n_patterns, Vec::new);
            for (course, column) in standard.iter_mut().zip(patterns.columns()) {
                course.extend(column.iter().map(|&value| f64::from(value)));
            }
        }
        let mut scales = Vec::with_capacity(standard.len());
        for course in &mut standard {
            let n_samples = course.len() as f64;
            let mean = course.iter().sum::<f64>() / n_samples;
            let mean_square = course.iter().map(|value| value * value).sum::<f64>() / n_samples;
            course.iter_mut().for_each(|value| *value -= mean);
            let squares: f64 = course.iter().map(|value| value * value).sum();
            // Time courses come in any unit, so what counts as constant is relative to their size.
            if squares / n_samples > LEAST_VARIANCE * mean_square {
                course.iter_mut().for_each(|value| *value /= squares.sqrt());
                scales.push((n_samples / squares).sqrt());
            } else {
                course.clear();
                scales.push(0.0);
            }
        }
        Ok(Courses { standard, scales })
    }

    fn correlation(&self, k: usize, j: usize) -> f64 {
        self.standard[k].iter().zip(&self.standard[j]).map(|(x, y)| x * y).sum()
    }
}

/// Takes the pairs first, then the patterns that stand alone; both depend on the counts before them only.
fn choose(
    seed: u64,
    planted: &PlantedPatterns,
    courses: &Courses,
) -> Result<(Vec<PlantedPair>, Vec<usize>), SimulateError> {
    let n_pairs = planted.duplicates + planted.mirrored;
    let mut order: Vec<usize> = (0..courses.standard.len()).filter(|&k| courses.scales[k] > 0.0).collect();
    let n_varying = order.len();
    order.shuffle(&mut generator(seed, &["pattern-order"]));
    let too_few = |what, found, expected| SimulateError::TooFewPatterns {
        what,
        found,
        expected,
        n_patterns: courses.standard.len(),
        n_varying,
        max_correlation: planted.max_correlation,
    };
    let apart = |one: usize, others: &[usize]| {
        others.iter().all(|&other| courses.correlation(one, other).abs() <= planted.max_correlation)
    };
    let mut in_pairs: Vec<usize> = Vec::new();
    let mut pairs = Vec::new();
    let mut passed_over = Vec::new();
    let mut waiting = order;
    // Patterns are taken from the end.
    waiting.reverse();
    while pairs.len() < n_pairs
        && let Some(k) = waiting.pop()
    {
        let partner =
            apart(k, &in_pairs).then(|| waiting.iter().rposition(|&j| apart(j, &[k]) && apart(j, &in_pairs))).flatten();
        let Some(place) = partner else {
            passed_over.push(k);
            continue;
        };
        let j = waiting.remove(place);
        in_pairs.extend([k, j]);
        pairs.push(PlantedPair { k, j, correlation: courses.correlation(k, j) });
    }
    if pairs.len() < n_pairs {
        return Err(too_few("pairs of patterns can be formed", pairs.len(), n_pairs));
    }
    let left = passed_over.into_iter().chain(waiting.into_iter().rev());
    let alone: Vec<usize> = left.filter(|&pattern| apart(pattern, &in_pairs)).take(planted.alone).collect();
    match alone.len() < planted.alone {
        true => Err(too_few("patterns can stand alone", alone.len(), planted.alone)),
        false => Ok((pairs, alone)),
    }
}

/// Cuts voxels into sets whose sizes differ by one at most, each in one place: across the longest side, again and again.
fn compact_sets(mut voxels: Vec<usize>, n_sets: usize, places: &[[usize; 3]]) -> Vec<Vec<usize>> {
    let n_voxels = voxels.len();
    let start = |set: usize| set * n_voxels / n_sets;
    let mut sets = vec![Vec::new(); n_sets];
    let mut waiting = vec![(0, n_sets)];
    while let Some((first, end)) = waiting.pop() {
        let part = &mut voxels[start(first)..start(end)];
        if end - first == 1 {
            part.sort_unstable();
            sets[first] = part.to_vec();
            continue;
        }
        let length = |axis: usize| {
            let along = || part.iter().map(|&voxel| places[voxel][axis]);
            along().max().unwrap_or_default() - along().min().unwrap_or_default()
        };
        let longest = (0..3).rev().max_by_key(|&axis| length(axis)).expect("there are three axes");
        part.sort_unstable_by_key(|&voxel| (places[voxel][longest], voxel));
        let middle = first.midpoint(end);
        waiting.extend([(first, middle), (middle, end)]);
    }
    sets
}

#[cfg(test)]
mod tests {
    use super::*;

    fn courses(n_patterns: usize, n_samples: usize, share: f64) -> Courses {
        let mut rng = generator(1, &["courses"]);
        let mut draw = || (0..n_samples).map(|_| rng.random_range(-1.0..1.0)).collect::<Vec<f64>>();
        let common = draw();
        let standard: Vec<Vec<f64>> = (0..n_patterns)
            .map(|_| {
                let course: Vec<f64> = draw().iter().zip(&common).map(|(x, y)| x + share * y).collect();
                let mean = course.iter().sum::<f64>() / n_samples as f64;
                let size = course.iter().map(|x| (x - mean).powi(2)).sum::<f64>().sqrt();
                course.iter().map(|x| (x - mean) / size).collect()
            })
            .collect();
        Courses { scales: vec![1.0; n_patterns], standard }
    }

    fn options(duplicates: usize, mirrored: usize, alone: usize) -> PlantedPatterns {
        let text = format!("networks = ['default']\nduplicates = {duplicates}\nmirrored = {mirrored}\nalone = {alone}");
        toml::from_str(&text).unwrap()
    }

    #[test]
    fn chosen_patterns_are_disjoint_and_hardly_correlate() {
        let courses = courses(40, 60, 0.3);
        let (pairs, alone) = choose(4, &options(3, 3, 4), &courses).unwrap();
        let in_pairs: Vec<usize> = pairs.iter().flat_map(|pair| [pair.k, pair.j]).collect();
        let mut all = [in_pairs.clone(), alone.clone()].concat();
        for &one in &in_pairs {
            for &other in all.iter().filter(|&&other| other != one) {
                assert!(courses.correlation(one, other).abs() <= 0.3, "{one} {other}");
            }
        }
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 16);
        // What is asked for last does not change what was chosen before it.
        assert_eq!(choose(4, &options(3, 3, 0), &courses).unwrap().0, pairs);
        assert_eq!(choose(4, &options(2, 0, 0), &courses).unwrap().0, pairs[..2]);
        assert_ne!(choose(5, &options(3, 3, 4), &courses).unwrap().0, pairs);
    }

    #[test]
    fn as_many_pairs_as_can_be_formed_are_named() {
        let said = |courses: &Courses, options| choose(4, &options, courses).unwrap_err().to_string();
        let message = said(&courses(12, 60, 4.0), options(1, 1, 0));
        let expected = "0 pairs of patterns can be formed, expected 2: 12 of 12 patterns vary, and those in pairs may \
                        correlate by 0.3 at most with any other that drives voxels";
        assert_eq!(message, expected);
        let mut independent = courses(7, 2000, 0.0);
        independent.scales[3] = 0.0;
        independent.standard[3].clear();
        let message = said(&independent, options(4, 0, 0));
        assert!(
            message.starts_with("3 pairs of patterns can be formed, expected 4: 6 of 7 patterns vary"),
            "{message}"
        );
        let message = said(&independent, options(1, 1, 3));
        assert!(message.starts_with("2 patterns can stand alone, expected 3: 6 of 7 patterns vary"), "{message}");
    }

    #[test]
    fn sets_are_of_equal_size_and_compact() {
        let places: Vec<[usize; 3]> =
            (0..12).flat_map(|i| (0..9).flat_map(move |j| (0..7).map(move |k| [i, j, k]))).collect();
        for n_sets in [1, 2, 5, 12] {
            let sets = compact_sets((0..places.len()).collect(), n_sets, &places);
            let mut all = sets.concat();
            all.sort_unstable();
            assert_eq!(all, (0..places.len()).collect::<Vec<_>>());
            let sizes: Vec<usize> = sets.iter().map(Vec::len).collect();
            assert!(sizes.iter().max().unwrap() - sizes.iter().min().unwrap() <= 1, "{sizes:?}");
            for set in &sets {
                let box_voxels: usize = (0..3)
                    .map(|axis| {
                        let along = || set.iter().map(|&voxel| places[voxel][axis]);
                        along().max().unwrap() - along().min().unwrap() + 1
                    })
                    .product();
                assert!(box_voxels <= 2 * set.len(), "{box_voxels} {}", set.len());
            }
        }
    }
}
