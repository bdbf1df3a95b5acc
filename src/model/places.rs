//! The table of places of a network that sees images of another size than it was trained on.
//!
//! Owns the bicubic interpolation of a square grid of vectors, as PyTorch's `interpolate` does it (mode `bicubic`, corners not
//! aligned, no antialiasing): Keys' cubic with a = -3/4, samples beyond the edge taken from the edge. Knows no network.

/// Keys' constant, as in PyTorch.
const A: f64 = -0.75;

/// Weights of the four samples around a point, which lies `fraction` behind the second of them.
fn cubic(fraction: f64) -> [f64; 4] {
    let near = |x: f64| ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0;
    let far = |x: f64| ((A * x - 5.0 * A) * x + 8.0 * A) * x - 4.0 * A;
    [far(fraction + 1.0), near(fraction), near(1.0 - fraction), far(2.0 - fraction)]
}

/// For each of `n_out` points the four samples of `n_in` that it is made of, with their weights.
fn samples(n_in: usize, n_out: usize) -> Vec<[(usize, f64); 4]> {
    let scale = n_in as f64 / n_out as f64;
    (0..n_out)
        .map(|out| {
            let at = (out as f64 + 0.5) * scale - 0.5;
            let before = at.floor();
            let weights = cubic(at - before);
            [0, 1, 2, 3].map(|offset| {
                let place = (before as i64 + offset - 1).clamp(0, n_in as i64 - 1);
                (place as usize, weights[offset as usize])
            })
        })
        .collect()
}

/// A grid of `side` by `side` vectors of `width` becomes one of `new_side` by `new_side`, rows of a table both.
pub fn resize_places(grid: &[f32], side: usize, new_side: usize, width: usize) -> Vec<f32> {
    let samples = samples(side, new_side);
    let mut out = Vec::with_capacity(new_side * new_side * width);
    for rows in &samples {
        for columns in &samples {
            for channel in 0..width {
                let of_row = |row: usize| {
                    let sample = |(column, weight): &(usize, f64)| {
                        weight * f64::from(grid[(row * side + column) * width + channel])
                    };
                    columns.iter().map(sample).sum::<f64>()
                };
                out.push(rows.iter().map(|(row, weight)| weight * of_row(*row)).sum::<f64>() as f32);
            }
        }
    }
    out
}

/// The same for a table whose first row, the class token's place, stays as it is.
pub fn resize_places_after_class(table: &[f32], side: usize, new_side: usize, width: usize) -> Vec<f32> {
    let (class, grid) = table.split_at(width);
    [class, &resize_places(grid, side, new_side, width)].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grid_of_the_same_size_stays_and_an_even_one_stays_even() {
        let grid: Vec<f32> = (0..18).map(|value| value as f32).collect();
        assert_eq!(resize_places(&grid, 3, 3, 2), grid);
        for value in resize_places(&[2.5; 9], 3, 7, 1) {
            assert!((value - 2.5).abs() < 1e-6);
        }
        let table = resize_places_after_class(&[9.0, 1.0, 1.0, 1.0, 1.0], 2, 4, 1);
        assert_eq!((table.len(), table[0]), (17, 9.0));
    }

    #[test]
    fn doubling_weighs_samples_as_pytorch_does() {
        // torch.nn.functional.interpolate(torch.tensor([[[[0., 1.], [2., 3.]]]]), size=(4, 4), mode="bicubic")
        let expected = [-0.316_406_25, 0.015_625, 0.562_5, 0.894_531_25];
        for (found, expected) in resize_places(&[0.0, 1.0, 2.0, 3.0], 2, 4, 1).iter().zip(expected) {
            assert!((found - expected).abs() < 1e-6, "{found} {expected}");
        }
    }
}
