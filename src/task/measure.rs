//! Measures the low-level features of one shard of stimuli, in the form in which units are extracted.
//!
//! The artifact has the files of an extraction (see `extract.rs`), and beside them the table of units that an export has, so
//! that it stands for both: series take it as their `units`, patterns as their `network`. A row is an appearance of a stimulus
//! rather than the stimulus, since motion depends on what was shown before, and a place in the run on the run.

use super::{
    Compute, Kind, TaskError, Workbench,
    extract::{COMPUTED, Image, ROWS, UNITS, UNREADABLE, digest_of_file, image_paths, plain},
    listed,
};
use crate::{
    format::{npy::MatrixWriter, tsv::MISSING, tsv::Table},
    model::{InRun, LowLevel, Luminance, Module, Stimulus, UNITS_FILE, image::decode},
    spec::written::Unreadable,
    stimulus::{Appearance, Position},
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, path::PathBuf};

/// Measures one shard: appearances of images, or of texts.
#[derive(Debug, Serialize, Deserialize)]
pub struct MeasureStimuli {
    /// The model's name: it begins the name of every unit.
    pub model: String,
    /// Which of the two modules that need no network.
    pub module: Module,
    /// What is measured of it: [`LowLevel::of`] the module.
    pub low_level: LowLevel,
    /// The images that the rows name: those shown, and those before them.
    pub images: Vec<Image>,
    /// The texts that the rows name.
    pub texts: Vec<String>,
    /// The rows, by their places in `images` or `texts`.
    pub rows: Vec<Appearance>,
    /// What becomes of an image that cannot be read.
    #[serde(rename = "stimuli.tables.unreadable")]
    pub unreadable: Unreadable,
}

/// An image of the shard, once it was looked at.
struct Picture {
    digest: String,
    luminance: Result<Luminance, String>,
}

/// Images that some row still needs.
struct Pictures {
    paths: Vec<PathBuf>,
    n_uses: Vec<usize>,
    open: BTreeMap<usize, Picture>,
    unreadable: Unreadable,
}

/// One row: the digest of all that it depends on, and its units, or why it has none.
struct Measured {
    digest: String,
    units: Result<Vec<f32>, Reason>,
}

/// Why a row has no units.
enum Reason {
    /// Its image cannot be read.
    Unreadable(String),
    /// The image before it cannot, so that its motion is not known.
    MotionUnknown,
}

impl Compute for MeasureStimuli {
    const KIND: Kind = Kind::Measure;

    fn memory_bytes(&self) -> u64 {
        // An image as it is decoded, the luminances of the whole shard at most, and texts.
        (256 << 20) + (self.images.len() * (64 << 10)) as u64
    }

    fn compute(&self, bench: &Workbench<'_>) -> Result<(), TaskError> {
        let table = self.low_level.to_tsv(&self.model, self.module)?;
        let path = bench.out.join(UNITS_FILE);
        std::fs::write(&path, table).map_err(|source| TaskError::Io { path, source })?;
        let n_units = self.low_level.units(self.module).len();
        let mut matrix = MatrixWriter::create(&bench.out.join(UNITS), n_units)?;
        let mut table = Table::new(["digest", "status", "text"]);
        let mut pictures = self.pictures(bench);
        let (mut unreadable, mut n_without_motion) = (Vec::new(), 0);
        for (number, row) in self.rows.iter().enumerate() {
            bench.step(number, self.rows.len())?;
            let (measured, text) = match self.module.stimulus() {
                Stimulus::Text => {
                    let text = self.texts[row.shown].as_str();
                    (self.measure_text(text, row), plain(text))
                }
                _ => (self.measure_picture(&mut pictures, row)?, MISSING.to_owned()),
            };
            let status = match measured.units {
                Ok(units) => {
                    matrix.write_row(units.as_slice().into())?;
                    COMPUTED
                }
                Err(reason) => {
                    matrix.write_row(vec![0.0; n_units].as_slice().into())?;
                    match reason {
                        Reason::Unreadable(message) => unreadable.push(message),
                        Reason::MotionUnknown => n_without_motion += 1,
                    }
                    UNREADABLE
                }
            };
            table.push([measured.digest, status.to_owned(), text]);
        }
        matrix.finish()?;
        table.write(&bench.out.join(ROWS))?;
        warn_of_masks(bench, &unreadable, n_without_motion);
        bench.step(self.rows.len(), self.rows.len())
    }
}

impl MeasureStimuli {
    fn pictures(&self, bench: &Workbench<'_>) -> Pictures {
        let paths = image_paths(bench, &self.images);
        let mut n_uses = vec![0; paths.len()];
        if self.module.stimulus() == Stimulus::Image {
            self.rows.iter().flat_map(images_of).for_each(|image| n_uses[image] += 1);
        }
        Pictures { paths, n_uses, open: BTreeMap::new(), unreadable: self.unreadable }
    }

    fn measure_picture(&self, pictures: &mut Pictures, row: &Appearance) -> Result<Measured, TaskError> {
        images_of(row).try_for_each(|image| pictures.look_at(image))?;
        let (shown, before) = (&pictures.open[&row.shown], row.before.map(|before| &pictures.open[&before]));
        let digest = digest_of(&shown.digest, before.map(|before| &*before.digest), row.position);
        let units = match (&shown.luminance, before.map(|before| &before.luminance)) {
            (Err(message), _) => Err(Reason::Unreadable(message.clone())),
            (Ok(_), Some(Err(_))) if self.low_level.has_motion() => Err(Reason::MotionUnknown),
            (Ok(luminance), before) => {
                let before = before.and_then(|before| before.as_ref().ok());
                Ok(self.low_level.measure_picture(luminance, before, row.position.map(in_run)))
            }
        };
        images_of(row).for_each(|image| pictures.let_go(image));
        Ok(Measured { digest, units })
    }

    fn measure_text(&self, text: &str, row: &Appearance) -> Measured {
        let digest = digest_of(blake3::hash(text.as_bytes()).to_hex().as_str(), None, row.position);
        Measured { digest, units: Ok(self.low_level.measure_text(text, row.position.map(in_run))) }
    }
}

impl Pictures {
    /// Decodes an image, unless that was done for a row before.
    fn look_at(&mut self, image: usize) -> Result<(), TaskError> {
        if self.open.contains_key(&image) {
            return Ok(());
        }
        let path = &self.paths[image];
        let luminance = match decode(path) {
            Ok(pixels) => Ok(Luminance::of(&pixels)),
            Err(error) if self.unreadable == Unreadable::Mask => Err(error.to_string()),
            Err(error) => return Err(error.into()),
        };
        let digest = digest_of_file(path)?.to_hex().to_string();
        self.open.insert(image, Picture { digest, luminance });
        Ok(())
    }

    /// Drops an image after its last use.
    fn let_go(&mut self, image: usize) {
        self.n_uses[image] -= 1;
        if self.n_uses[image] == 0 {
            self.open.remove(&image);
        }
    }
}

fn images_of(row: &Appearance) -> impl Iterator<Item = usize> {
    [row.shown].into_iter().chain(row.before)
}

fn in_run(Position { share, order }: Position) -> InRun {
    InRun { share, order }
}

/// The digest of a stimulus' own content and of what else its row depends on.
fn digest_of(own: &str, before: Option<&str>, position: Option<Position>) -> String {
    if before.is_none() && position.is_none() {
        return own.to_owned();
    }
    let position = position.map_or_else(String::new, |place| format!("{} {}", place.share, place.order));
    blake3::hash([own, before.unwrap_or_default(), &position].join("\n").as_bytes()).to_hex().to_string()
}

fn warn_of_masks(bench: &Workbench<'_>, unreadable: &[String], n_without_motion: usize) {
    if !unreadable.is_empty() {
        let (n, listed) = (unreadable.len(), listed(unreadable, "; "));
        bench.warn(
            "images-masked",
            format!("{n} appearances of images count as not shown, since they cannot be read: {listed}"),
        );
    }
    if n_without_motion > 0 {
        let message = format!(
            "{n_without_motion} appearances of images count as not shown, since the image before them cannot be read and their \
             motion is not known"
        );
        bench.warn("motion-unknown", message);
    }
}

#[cfg(test)]
mod tests {
    use super::super::{
        extract::rows_shown,
        read_warnings,
        series::{SERIES, UnitSeries},
    };
    use super::*;
    use crate::{format::npy::read_matrix, math::series::Hrf, model::LowLevelFeature as Feature, spec::written::Rest};
    use image::{Rgb, RgbImage};
    use ndarray::array;
    use std::{path::Path, sync::atomic::AtomicBool};
    use tempfile::TempDir;

    /// A grey picture of each level; a level without a picture is a file that holds none.
    fn pictures(folder: &Path, levels: &[Option<u8>]) -> Vec<PathBuf> {
        let picture = |(number, level): (usize, &Option<u8>)| {
            let path = folder.join(format!("{number}.png"));
            match level {
                Some(level) => RgbImage::from_pixel(6, 4, Rgb([*level; 3])).save(&path).unwrap(),
                None => std::fs::write(&path, "no picture").unwrap(),
            }
            path
        };
        levels.iter().enumerate().map(picture).collect()
    }

    fn measure(
        features: &[Feature],
        module: Module,
        n_images: usize,
        texts: &[&str],
        rows: Vec<Appearance>,
    ) -> MeasureStimuli {
        let low_level = LowLevel { grid: 1, features: features.to_vec() };
        MeasureStimuli {
            model: "low-level".to_owned(),
            module,
            low_level: low_level.of(module),
            images: (0..n_images).map(|_| Image::File).collect(),
            texts: texts.iter().map(|text| (*text).to_owned()).collect(),
            rows,
            unreadable: Unreadable::Mask,
        }
    }

    fn row(shown: usize, before: Option<usize>) -> Appearance {
        Appearance { shown, before, position: None }
    }

    fn compute(
        task: &impl Compute,
        inputs: BTreeMap<&'static str, Vec<PathBuf>>,
        images: Vec<PathBuf>,
    ) -> Result<TempDir, TaskError> {
        let out = tempfile::tempdir().unwrap();
        let cancelled = AtomicBool::new(false);
        let bench = Workbench::new(inputs, BTreeMap::from([("images", images)]), out.path(), &|_| {}, &cancelled);
        task.compute(&bench)?;
        bench.finish()?;
        Ok(out)
    }

    fn statuses(artifact: &TempDir) -> Vec<bool> {
        rows_shown(artifact.path()).unwrap()
    }

    #[test]
    fn motion_is_the_change_from_the_picture_that_the_row_names() {
        let folder = tempfile::tempdir().unwrap();
        let images = pictures(folder.path(), &[Some(0), Some(255)]);
        let rows = vec![row(0, None), row(1, Some(0)), row(1, Some(1)), row(0, Some(1))];
        let task = measure(&[Feature::Luminance, Feature::Motion], Module::ImageStatistics, 2, &[], rows);
        let artifact = compute(&task, BTreeMap::new(), images).unwrap();
        let units = read_matrix(&artifact.path().join(UNITS)).unwrap();
        assert_eq!(units, array![[0.0_f32, 0.0], [1.0, 1.0], [1.0, 0.0], [0.0, 1.0]]);
        assert_eq!(statuses(&artifact), [true; 4]);
        let table = Table::read(&artifact.path().join(UNITS_FILE)).unwrap();
        assert_eq!(table.rows()[1][0], "low-level/image-statistics/0/motion/-");
        let rows = Table::read(&artifact.path().join(ROWS)).unwrap();
        let digests: std::collections::BTreeSet<&str> = rows.rows().iter().map(|cells| &*cells[0]).collect();
        assert_eq!(digests.len(), 4, "the same picture after another is another row");
    }

    #[test]
    fn pictures_that_cannot_be_read_are_masked_with_the_motion_after_them() {
        let folder = tempfile::tempdir().unwrap();
        let images = pictures(folder.path(), &[None, Some(9), Some(99)]);
        let rows = vec![row(0, None), row(1, Some(0)), row(2, Some(1))];
        let task = |features: &[Feature]| measure(features, Module::ImageStatistics, 3, &[], rows.clone());
        let artifact = compute(&task(&[Feature::Motion]), BTreeMap::new(), images.clone()).unwrap();
        assert_eq!(statuses(&artifact), [false, false, true]);
        let codes: Vec<String> =
            read_warnings(artifact.path()).unwrap().into_iter().map(|warning| warning.code).collect();
        assert_eq!(codes, ["images-masked", "motion-unknown"]);
        let artifact = compute(&task(&[Feature::Luminance]), BTreeMap::new(), images.clone()).unwrap();
        assert_eq!(statuses(&artifact), [false, true, true], "luminance needs no picture before");
        let strict = MeasureStimuli { unreadable: Unreadable::Error, ..task(&[Feature::Luminance]) };
        let refused = compute(&strict, BTreeMap::new(), images).unwrap_err().to_string();
        assert!(refused.contains("0.png"), "{refused}");
    }

    #[test]
    fn series_are_made_of_shards_as_of_those_of_networks() {
        // Two shards of two pictures each, a picture a volume, the last of them unreadable.
        let folder = tempfile::tempdir().unwrap();
        let images = pictures(folder.path(), &[Some(0), Some(255), Some(0), None]);
        let shards: Vec<TempDir> = [[0, 1], [2, 3]]
            .map(|[first, second]| {
                let task =
                    measure(&[Feature::Luminance], Module::ImageStatistics, 2, &[], vec![row(0, None), row(1, None)]);
                compute(&task, BTreeMap::new(), vec![images[first].clone(), images[second].clone()]).unwrap()
            })
            .into();
        let inputs = BTreeMap::from([("units", shards.iter().map(|shard| shard.path().to_owned()).collect())]);
        let series = UnitSeries {
            events: (0..4).map(|number| (number as f64, 1.0, number)).collect(),
            n_tr: 4,
            repetition_time_s: 1.0,
            hrf: Hrf::default(),
            trim_start_s: 0.0,
            rest: Rest::Drop,
            n_units: 1,
        };
        let artifact = compute(&series, inputs, Vec::new()).unwrap();
        let series = read_matrix(&artifact.path().join(SERIES)).unwrap();
        assert_eq!(series.dim(), (4, 1));
        assert_eq!(super::super::series::used_volumes(artifact.path()).unwrap(), [0, 1, 2]);
        assert_eq!(read_warnings(artifact.path()).unwrap()[0].code, "events-masked");
    }

    #[test]
    fn texts_are_counted_and_placed() {
        let position = |share, order| Some(Position { share, order });
        let rows = vec![
            Appearance { shown: 0, before: None, position: position(0.0, 0) },
            Appearance { shown: 0, before: None, position: position(0.5, 1) },
        ];
        let features = [Feature::Words, Feature::WordLength, Feature::PlaceInRun, Feature::Order];
        let task = measure(&features, Module::WordStatistics, 0, &["the\tdog"], rows);
        let artifact = compute(&task, BTreeMap::new(), Vec::new()).unwrap();
        let units = read_matrix(&artifact.path().join(UNITS)).unwrap();
        assert_eq!(units, array![[2.0_f32, 3.0, 0.0, 0.0], [2.0, 3.0, 0.5, 1.0]]);
        assert_eq!(Table::read(&artifact.path().join(ROWS)).unwrap().rows()[0][2], "the dog");
    }
}
