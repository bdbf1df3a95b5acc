//! What is in pictures and texts without any network: the low-level features that a network's units have to beat.
//!
//! ```text
//! picture --luminance.rs--> 128 x 128 luminances --picture.rs--> luminance, contrast, edges, motion; whole and in cells
//! text ----words.rs------> words, letters, letters in a word
//! ```
//!
//! Owns the choice of features ([`LowLevel`]), what each is called as a unit, and their order in a row. They come in two
//! modules, [`Module::ImageStatistics`] and [`Module::WordStatistics`], of one layer each, so that whatever takes a network's
//! units takes them. Knows no files and no times: which picture came before, and where a stimulus stands in its run, is said by
//! whoever asks.

mod luminance;
mod picture;
mod words;

use std::fmt::{self, Write as _};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::error::ModelError;
use super::module::Module;
use super::units::{Kind, LayerUnits, UnitTable};
pub use luminance::{Luminance, WORKING_SIDE};
pub use words::TextCounts;

/// Cells along each side at most: a cell is then four of the working size's pixels wide.
pub const GRID_LIMIT: usize = 32;

/// The low-level features of stimuli that a study takes as units.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LowLevel {
    /// Cells along each side of a picture. Every feature of pictures is taken of the whole picture and of each cell; with 1, of
    /// the whole alone.
    #[schemars(example = 4, range(min = 1, max = 32))]
    pub grid: usize,
    /// Which features; all but the places in the run if absent.
    #[schemars(example = json!(["luminance", "contrast", "motion"]), length(min = 1))]
    pub features: Vec<LowLevelFeature>,
}

impl Default for LowLevel {
    fn default() -> Self {
        let features = LowLevelFeature::ALL.into_iter().filter(|feature| !feature.is_of_place()).collect();
        Self { grid: 4, features }
    }
}

/// One low-level feature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LowLevelFeature {
    /// Pictures: mean luminance, from 0 for black to 1 for white.
    Luminance,
    /// Pictures: standard deviation of luminance (RMS contrast).
    Contrast,
    /// Pictures: strength of structure of about 4 to 5 cycles over the picture.
    CoarseEdges,
    /// Pictures: strength of structure of about 18 cycles over the picture.
    FineEdges,
    /// Pictures: mean change of luminance from the picture before; 0 where none is.
    Motion,
    /// Texts: number of words.
    Words,
    /// Texts: number of letters and digits.
    Letters,
    /// Texts: mean number of letters and digits in a word; 0 where there is no word.
    WordLength,
    /// Pictures and texts: onset as a share of the run, from 0 to 1.
    PlaceInRun,
    /// Texts: how many texts of the run came before.
    Order,
}

impl LowLevelFeature {
    /// Every feature, in the order of units.
    pub const ALL: [Self; 10] = [
        Self::Luminance,
        Self::Contrast,
        Self::CoarseEdges,
        Self::FineEdges,
        Self::Motion,
        Self::Words,
        Self::Letters,
        Self::WordLength,
        Self::PlaceInRun,
        Self::Order,
    ];

    /// Whether it tells of where a stimulus stands in its run rather than of the stimulus, so that the same stimulus has other
    /// values each time.
    #[must_use]
    pub fn is_of_place(self) -> bool {
        matches!(self, Self::PlaceInRun | Self::Order)
    }

    /// Whether it is a map over the picture, taken of each cell.
    fn is_of_cells(self) -> bool {
        matches!(self, Self::Luminance | Self::Contrast | Self::CoarseEdges | Self::FineEdges | Self::Motion)
    }

    fn is_of(self, module: Module) -> bool {
        match self {
            Self::Words | Self::Letters | Self::WordLength | Self::Order => module == Module::WordStatistics,
            Self::PlaceInRun => matches!(module, Module::ImageStatistics | Module::WordStatistics),
            _ => module == Module::ImageStatistics,
        }
    }
}

impl fmt::Display for LowLevelFeature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Luminance => "luminance",
            Self::Contrast => "contrast",
            Self::CoarseEdges => "coarse-edges",
            Self::FineEdges => "fine-edges",
            Self::Motion => "motion",
            Self::Words => "words",
            Self::Letters => "letters",
            Self::WordLength => "word-length",
            Self::PlaceInRun => "place-in-run",
            Self::Order => "order",
        })
    }
}

/// Why a choice of low-level features cannot be measured.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LowLevelError {
    /// A grid without cells, or of cells that are hardly more than pixels.
    #[error("`grid` is {found}: expected 1 to {GRID_LIMIT} cells along each side")]
    Grid {
        /// The cells asked for.
        found: usize,
    },
    /// A list of features that names none.
    #[error("no low-level feature is asked for: name at least one, as `luminance`")]
    NoFeature,
    /// A feature that is named again.
    #[error("the low-level feature `{feature}` is asked for twice: name each once")]
    Twice {
        /// The feature.
        feature: LowLevelFeature,
    },
}

/// One unit: a feature of the whole stimulus or of one cell of a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LowLevelUnit {
    /// The feature.
    pub feature: LowLevelFeature,
    /// The cell, counted from the top left along the rows; absent for the whole.
    pub cell: Option<usize>,
}

/// Where a stimulus stands in its run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct InRun {
    /// Its onset as a share of the run's length.
    pub share: f64,
    /// How many stimuli of its kind began before it.
    pub order: usize,
}

impl LowLevel {
    /// Refuses a choice that cannot be measured.
    ///
    /// # Errors
    /// The grid is out of bounds, or the features are none, or one is named twice.
    pub fn check(&self) -> Result<(), LowLevelError> {
        if !(1..=GRID_LIMIT).contains(&self.grid) {
            return Err(LowLevelError::Grid { found: self.grid });
        }
        let mut sorted = self.features.clone();
        sorted.sort_unstable();
        match sorted.windows(2).find(|pair| pair[0] == pair[1]) {
            Some(pair) => Err(LowLevelError::Twice { feature: pair[0] }),
            None if sorted.is_empty() => Err(LowLevelError::NoFeature),
            None => Ok(()),
        }
    }

    /// The modules that it has units in: those of pictures, of texts, or both.
    #[must_use]
    pub fn modules(&self) -> Vec<Module> {
        let both = [Module::ImageStatistics, Module::WordStatistics];
        both.into_iter().filter(|module| !self.of(*module).features.is_empty()).collect()
    }

    /// What of it concerns one module, in one form for equal units: features in order, and no grid for texts.
    #[must_use]
    pub fn of(&self, module: Module) -> Self {
        let asked = |feature: &LowLevelFeature| self.features.contains(feature) && feature.is_of(module);
        let features: Vec<_> = LowLevelFeature::ALL.into_iter().filter(asked).collect();
        let has_cells = features.iter().any(|feature| feature.is_of_cells());
        Self { grid: if has_cells { self.grid } else { 1 }, features }
    }

    /// Whether the picture before a picture matters.
    #[must_use]
    pub fn has_motion(&self) -> bool {
        self.features.contains(&LowLevelFeature::Motion)
    }

    /// Whether it matters where in a run a stimulus of a module stands.
    #[must_use]
    pub fn has_place(&self, module: Module) -> bool {
        self.of(module).features.iter().any(|feature| feature.is_of_place())
    }

    /// The units of a module, in the order of the columns: feature by feature, each first of the whole picture.
    #[must_use]
    pub fn units(&self, module: Module) -> Vec<LowLevelUnit> {
        let Self { grid, features } = self.of(module);
        let mut units = Vec::new();
        for feature in features {
            let n_cells = if feature.is_of_cells() && grid > 1 { grid * grid } else { 0 };
            let cells = (0..n_cells).map(Some);
            units.extend([None].into_iter().chain(cells).map(|cell| LowLevelUnit { feature, cell }));
        }
        units
    }

    /// The only layer of a module, as a network's layers are described. Its kind is that of what a model makes of a stimulus in
    /// the end, since there is nothing before it.
    #[must_use]
    pub fn layer(&self, module: Module) -> LayerUnits {
        LayerUnits {
            output: format!("{module}/statistics"),
            layer: 0,
            kind: Kind::Embedding,
            attentions: Vec::new(),
            n_heads: None,
            n_units: self.units(module).len(),
        }
    }

    /// The table of a module's units, with the columns that an export's table has: the kind is the feature, the dimension the
    /// cell. A unit is called `model/module/0/feature/cell`, with `-` for the whole.
    ///
    /// # Errors
    /// `model` has a character that would break a unit's name or the table.
    pub fn to_tsv(&self, model: &str, module: Module) -> Result<String, ModelError> {
        let mut tsv = UnitTable::new(model, module, Vec::new())?.to_tsv();
        for LowLevelUnit { feature, cell } in self.units(module) {
            let shown = |absent: &str| cell.map_or_else(|| absent.to_owned(), |cell| cell.to_string());
            let (name, dim) = (shown("-"), shown("n/a"));
            writeln!(tsv, "{model}/{module}/0/{feature}/{name}\t{module}\t0\t{feature}\tn/a\tn/a\t{dim}")
                .expect("writing to a string cannot fail");
        }
        Ok(tsv)
    }

    /// The units of [`Module::ImageStatistics`] of one picture, given the one before it, if there is one.
    ///
    /// # Panics
    /// If [`LowLevel::has_place`] and the place is not given, or [`LowLevel::check`] refuses the grid.
    #[must_use]
    pub fn measure_picture(&self, picture: &Luminance, before: Option<&Luminance>, place: Option<InRun>) -> Vec<f32> {
        let Self { grid, features } = self.of(Module::ImageStatistics);
        let mut row = Vec::new();
        let maps = picture::Maps::of(picture, before, &features);
        for feature in features {
            match feature {
                LowLevelFeature::PlaceInRun => row.push(place.expect(GIVEN).share as f32),
                _ => maps.measure(feature, grid, &mut row),
            }
        }
        row
    }

    /// The units of [`Module::WordStatistics`] of one text.
    ///
    /// # Panics
    /// If [`LowLevel::has_place`] and the place is not given.
    #[must_use]
    pub fn measure_text(&self, text: &str, place: Option<InRun>) -> Vec<f32> {
        let counts = TextCounts::of(text);
        let of_texts = self.of(Module::WordStatistics).features.into_iter();
        let value = |feature| match feature {
            LowLevelFeature::Words => counts.n_words as f32,
            LowLevelFeature::Letters => counts.n_letters as f32,
            LowLevelFeature::WordLength => counts.word_length().unwrap_or_default() as f32,
            LowLevelFeature::PlaceInRun => place.expect(GIVEN).share as f32,
            LowLevelFeature::Order => place.expect(GIVEN).order as f32,
            other => unreachable!("`{other}` is no feature of texts"),
        };
        of_texts.map(value).collect()
    }
}

/// Why a place can be relied on.
const GIVEN: &str = "a place is given where one is asked for";

#[cfg(test)]
mod tests {
    use super::*;
    use LowLevelFeature as Feature;

    fn of(features: &[Feature], grid: usize) -> LowLevel {
        LowLevel { grid, features: features.to_vec() }
    }

    #[test]
    fn a_row_has_a_value_for_each_unit_and_the_table_a_line() {
        let all = of(&Feature::ALL, 3);
        let black = Luminance::of(&image::RgbImage::new(5, 4));
        let place = Some(InRun { share: 0.25, order: 7 });
        let pictures = all.measure_picture(&black, None, place);
        assert_eq!(pictures.len(), 5 * (1 + 9) + 1);
        assert_eq!(pictures.last(), Some(&0.25));
        let texts = all.measure_text("two words", place);
        assert_eq!(texts, [2.0, 8.0, 4.0, 0.25, 7.0]);
        for (module, row) in [(Module::ImageStatistics, pictures), (Module::WordStatistics, texts)] {
            assert_eq!(all.units(module).len(), row.len());
            assert_eq!(all.layer(module).n_units, row.len());
            assert_eq!(all.to_tsv("low", module).unwrap().lines().count(), row.len() + 1);
        }
    }

    #[test]
    fn units_are_named_as_those_of_networks() {
        let tsv = of(&[Feature::Contrast], 2).to_tsv("low-level", Module::ImageStatistics).unwrap();
        let lines: Vec<&str> = tsv.lines().collect();
        assert_eq!(lines[0], "unit\tmodule\tlayer\tkind\tattention\thead\tdim");
        assert_eq!(lines[1], "low-level/image-statistics/0/contrast/-\timage-statistics\t0\tcontrast\tn/a\tn/a\tn/a");
        assert_eq!(lines[5], "low-level/image-statistics/0/contrast/3\timage-statistics\t0\tcontrast\tn/a\tn/a\t3");
        assert!(of(&[Feature::Contrast], 2).to_tsv("a/b", Module::ImageStatistics).is_err());
    }

    #[test]
    fn the_order_in_which_features_are_written_does_not_matter() {
        let [one, other] = [[Feature::Motion, Feature::Words], [Feature::Words, Feature::Motion]].map(|f| of(&f, 4));
        assert_eq!(one.of(Module::ImageStatistics), other.of(Module::ImageStatistics));
        assert_eq!(one.modules(), [Module::ImageStatistics, Module::WordStatistics]);
        assert_eq!(of(&[Feature::Words], 4).of(Module::WordStatistics).grid, 1, "a grid concerns no text");
        assert_eq!(of(&[Feature::Words], 4).modules(), [Module::WordStatistics]);
        assert!(of(&[Feature::Words], 4).of(Module::Vision).features.is_empty());
    }

    #[test]
    fn choices_without_meaning_are_refused() {
        let refused = |low_level: &LowLevel| low_level.check().unwrap_err().to_string();
        assert_eq!(refused(&of(&[Feature::Motion], 0)), "`grid` is 0: expected 1 to 32 cells along each side");
        assert!(refused(&of(&[], 4)).contains("no low-level feature"));
        assert!(
            refused(&of(&[Feature::Words, Feature::Order, Feature::Words], 4)).contains("`words` is asked for twice")
        );
        assert_eq!(LowLevel::default().check(), Ok(()));
    }

    #[test]
    fn a_study_writes_features_by_their_names() {
        let read: LowLevel = serde_json::from_str(r#"{"features": ["coarse-edges", "place-in-run"]}"#).unwrap();
        assert_eq!(read, of(&[Feature::CoarseEdges, Feature::PlaceInRun], 4));
        assert!(serde_json::from_str::<LowLevel>(r#"{"feature": []}"#).is_err());
        for feature in Feature::ALL {
            assert_eq!(serde_json::to_value(feature).unwrap(), feature.to_string());
        }
        assert!(!LowLevel::default().has_place(Module::WordStatistics));
    }
}
