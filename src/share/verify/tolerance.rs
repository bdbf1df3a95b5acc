//! How far the numbers of a result may be apart from those of another machine, by kind of task.
//!
//! One machine gives the same bytes each time, whatever the number of threads. Another processor may not: OpenBLAS and ONNX
//! Runtime take other instructions there, which add the same numbers in another order. Tolerances are in parts of the
//! largest number of a column or an array, and never smaller than those of the tasks that a kind reads from: what is within
//! tolerance there comes in here.

use crate::task::Kind;

/// Nothing may differ.
const EXACT: f64 = 0.0;
/// A network is a chain of some hundred sums of some thousand 32-bit products. Reordered sums differ by about 1e-7 of the
/// largest each, and by 1e-5 after the chain; a decade more leaves room for models that are deeper.
const NETWORK: f64 = 1e-4;
/// Solvers divide by small eigenvalues and repeat until nothing moves much, which enlarges what came in by about a decade.
const SOLVER: f64 = 1e-3;

/// How far numbers of a result of this kind may be apart, and why.
#[must_use]
pub fn tolerance(kind: Kind) -> (f64, &'static str) {
    match kind {
        Kind::Stimuli | Kind::Frames => (EXACT, "pictures are whole numbers"),
        Kind::Weights => (EXACT, "drawn from a seed, number by number"),
        Kind::Export => (EXACT, "weights as they are, and a graph"),
        Kind::Mask | Kind::Groups => (EXACT, "labels"),
        Kind::Extract => (NETWORK, "networks in 32 bits, whose sums other processors order otherwise"),
        Kind::Measure => (NETWORK, "sums over pixels in 32 bits"),
        Kind::Series => (NETWORK, "sums of activations"),
        Kind::Simulate => (NETWORK, "made of series"),
        Kind::Bold => (NETWORK, "regressions in 32 bits"),
        Kind::Pattern => (SOLVER, "a dictionary that is refined step by step"),
        Kind::Encode => (SOLVER, "regressions that divide by small eigenvalues"),
        Kind::Null
        | Kind::Ceiling
        | Kind::Prediction
        | Kind::Redundancy
        | Kind::Polarity
        | Kind::Architecture
        | Kind::Hierarchy
        | Kind::Recovery
        | Kind::Group
        | Kind::Maps
        | Kind::Report => (SOLVER, "statistics of fits"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_kind_has_less_tolerance_than_what_flows_into_it() {
        let flows = [
            (Kind::Stimuli, Kind::Extract),
            (Kind::Export, Kind::Extract),
            (Kind::Extract, Kind::Series),
            (Kind::Measure, Kind::Series),
            (Kind::Series, Kind::Simulate),
            (Kind::Simulate, Kind::Bold),
            (Kind::Series, Kind::Pattern),
            (Kind::Bold, Kind::Encode),
            (Kind::Pattern, Kind::Encode),
            (Kind::Encode, Kind::Null),
            (Kind::Encode, Kind::Maps),
            (Kind::Null, Kind::Group),
            (Kind::Group, Kind::Report),
        ];
        for (from, to) in flows {
            assert!(tolerance(from).0 <= tolerance(to).0, "{from} {to}");
        }
        for kind in Kind::ALL {
            let (tolerance, why) = tolerance(kind);
            assert!((0.0..0.01).contains(&tolerance) && !why.is_empty(), "{kind}");
        }
    }
}
