//! `hebb inspect`: what a file of a brain is, before a study is built on it.
//!
//! An image says its grid, space, time and values; an atlas with its table how many voxels each network has, on its own grid or on
//! that of another image.

use super::{
    Shared,
    error::CliError,
    say,
    words::{counted, duration, size},
};
use crate::{
    brain::{
        assign::{AtlasOptions, assign},
        grid::Grid,
        locations::Extent,
        summary::Summary,
    },
    format::{
        bids::Entities,
        cifti::{BrainModelKind, CiftiError, CiftiReader, Maps, Places, read_cifti_info},
        nifti::{NiftiError, VolumeReader, read_info},
        npy::MatrixReader,
        tsv::Table,
    },
};
use clap::Args;
use indicatif::ProgressBar;
use std::{
    fmt::Display,
    fs,
    io::{Write, stdout},
    path::{Path, PathBuf},
    process::ExitCode,
};

/// Labels shown without being asked for a table.
const SHOWN_LABELS: usize = 40;
/// Values of an array looked at one block at a time.
const BLOCK_VALUES: usize = 1 << 22;

/// Arguments of `hebb inspect`.
#[derive(Debug, Args)]
pub(super) struct Inspect {
    /// A NIfTI image, a CIFTI file, a `.npy` matrix or a TSV table.
    file: PathBuf,
    /// The table that names the labels of an atlas.
    #[arg(long, value_name = "TABLE")]
    table: Option<PathBuf>,
    /// Which map of a `.dlabel.nii` with several.
    #[arg(long, value_name = "NAME")]
    map: Option<String>,
    /// For an atlas of probabilities: the smallest value that belongs to a region.
    #[arg(long, value_name = "VALUE")]
    threshold: Option<f64>,
    /// An image on whose grid an atlas is looked at, as a study would.
    #[arg(long, value_name = "IMAGE")]
    on: Option<PathBuf>,
}

/// Lines of a name and what is to be said of it.
struct Answer(String);

impl Answer {
    fn line(&mut self, name: &str, text: impl Display) {
        self.0 += &format!("{name:<12}{text}\n");
    }
}

impl Inspect {
    pub(super) fn run(self, _: &Shared) -> Result<ExitCode, CliError> {
        let mut answer = Answer(String::new());
        let bytes = fs::metadata(&self.file).map_err(CliError::file("read", &self.file))?.len();
        let name = self.file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let unreadable = |error: &dyn Display| CliError::Usage {
            message: error.to_string(),
            hint: "`hebb inspect` reads NIfTI images, CIFTI files, `.npy` matrices and TSV tables".to_owned(),
        };
        if self.table.is_some() || self.on.is_some() || self.map.is_some() || self.threshold.is_some() {
            self.atlas(&mut answer).map_err(|error| CliError::Usage {
                message: error.to_string(),
                hint: "`--table`, `--map`, `--threshold` and `--on` say how an atlas is read, as `[atlas]` does in a study"
                    .to_owned(),
            })?;
        } else if name.ends_with(".npy") {
            matrix(&mut answer, &self.file, bytes).map_err(|error| unreadable(&*error))?;
        } else if name.ends_with(".tsv") {
            table(&mut answer, &self.file, bytes).map_err(|error| unreadable(&*error))?;
        } else if is_cifti(&self.file) {
            grayordinates(&mut answer, &self.file, bytes).map_err(|error| unreadable(&*error))?;
        } else {
            image(&mut answer, &self.file, &name, bytes).map_err(|error| unreadable(&*error))?;
        }
        stdout().lock().write_all(answer.0.as_bytes())?;
        Ok(ExitCode::SUCCESS)
    }
}

type Failed = Box<dyn std::error::Error>;

/// Whether a file is, by its name, one of CIFTI.
fn is_cifti(path: &Path) -> bool {
    const KINDS: [&str; 6] = ["dtseries", "dscalar", "dlabel", "ptseries", "pscalar", "plabel"];
    let name = path.to_string_lossy();
    KINDS.iter().any(|kind| name.ends_with(&format!(".{kind}.nii")))
}

impl Inspect {
    /// The networks of an atlas, and how many places of a grid each has.
    fn atlas(&self, answer: &mut Answer) -> Result<(), Failed> {
        let on = self.on.as_deref().unwrap_or(&self.file);
        let extent = if is_cifti(on) {
            match read_cifti_info(on)?.matrix.places {
                Places::Dense(models) => Extent::Grayordinates(Box::new(models)),
                Places::Parcels(_) => {
                    return Err(format!("`{}` has parcels, expected single places", on.display()).into());
                }
            }
        } else {
            Extent::Grid(Grid::of_image(&read_info(on)?)?)
        };
        let options = AtlasOptions { map: self.map.clone(), threshold: self.threshold, ..AtlasOptions::default() };
        let (assigned, told) = assign(&self.file, self.table.as_deref(), &options, &extent)?;
        told.iter().for_each(|warning| say(format_args!("warning: {warning}")));
        match &extent {
            Extent::Grid(grid) => answer.line("grid", grid),
            Extent::Grayordinates(models) => answer.line("places", models.len()),
        }
        let width = assigned.networks.iter().map(|network| network.name.chars().count()).max().unwrap_or_default();
        for (network, n) in assigned.networks.iter().zip(assigned.membership.counts()) {
            answer.line("network", format_args!("{:<width$}  {}", network.name, counted(n, "voxel")));
        }
        Ok(())
    }
}

fn image(answer: &mut Answer, path: &Path, name: &str, bytes: u64) -> Result<(), Failed> {
    let mut reader = VolumeReader::open(path)?;
    let info = reader.info().clone();
    let scaled = info.scaling.map_or(String::new(), |(slope, intercept)| format!(", times {slope} plus {intercept}"));
    answer.line("file", format_args!("NIfTI-{}, {}{scaled}, {}", info.version, info.datatype, size(bytes)));
    let [nx, ny, nz] = info.shape;
    answer.line("shape", format_args!("{nx} x {ny} x {nz}, {}", counted(info.n_volumes, "volume")));
    match info.repetition_time_s {
        Some(seconds) => {
            let in_all = duration(seconds * info.n_volumes as f64);
            answer.line("time", format_args!("a volume every {seconds} s, {in_all} in all"));
        }
        None if info.n_volumes > 1 => answer.line("time", "the header does not say how long a volume takes"),
        None => {}
    }
    match Grid::of_image(&info) {
        Ok(grid) => {
            let [x, y, z] = grid.voxel_size_mm().map(|mm| (mm * 1e4).round() / 1e4);
            answer.line("voxels", format_args!("{x} x {y} x {z} mm, axes run {}", grid.orientation()));
            answer.line("grid", grid);
        }
        Err(error) => answer.line("grid", error),
    }
    let entities = Entities::parse(name).ok();
    if let Some(space) = entities.as_ref().and_then(|entities| entities.get("space").or_else(|| entities.get("tpl"))) {
        answer.line("space", format_args!("{space}, by its name"));
    }
    let mut summary = Summary::of(info.n_voxels());
    let bar = ProgressBar::new(info.n_volumes as u64);
    reader.each_volume(|_, volume| {
        summary.add(volume);
        bar.inc(1);
        Ok::<(), NiftiError>(())
    })?;
    bar.finish_and_clear();
    values(answer, &summary);
    Ok(())
}

fn values(answer: &mut Answer, summary: &Summary) {
    answer.line("values", range(summary.least, summary.largest));
    if summary.n_non_finite > 0 {
        answer.line("", format_args!("{} are no numbers or infinite", summary.n_non_finite));
    }
    if let Some(n) = summary.n_constant().filter(|n| *n > 0) {
        answer.line("", format_args!("{} the same in every volume", counted(n, "voxel")));
    }
    if let Some(labels) = summary.labels() {
        let inside: usize = labels.iter().filter(|(label, _)| **label != 0).map(|(_, n)| n).sum();
        let n_labels = labels.keys().filter(|label| **label != 0).count();
        answer.line("labels", format_args!("{n_labels} besides 0, in {}", counted(inside, "voxel")));
        for (label, n) in labels.iter().filter(|(label, _)| **label != 0).take(SHOWN_LABELS) {
            answer.line("", format_args!("{label:>6}  {}", counted(*n, "voxel")));
        }
        if n_labels > SHOWN_LABELS {
            answer.line("", format_args!("       and {} more; `--table TSV` names them", n_labels - SHOWN_LABELS));
        }
    }
}

fn range(least: f32, largest: f32) -> String {
    if least <= largest { format!("{least} to {largest}") } else { "none is a number".to_owned() }
}

/// A CIFTI file: what its maps and places are, and what its values.
fn grayordinates(answer: &mut Answer, path: &Path, bytes: u64) -> Result<(), Failed> {
    let mut reader = CiftiReader::open(path)?;
    let info = reader.info().clone();
    answer.line("file", format_args!("CIFTI-2, {}, {}, {}", info.matrix.kind(), info.datatype, size(bytes)));
    answer.line("shape", format_args!("{} by {}", counted(info.n_maps(), "map"), counted(info.n_places(), "place")));
    if let Maps::Series(series) = &info.matrix.maps {
        match series.step_s() {
            Some(seconds) => {
                let in_all = duration(seconds * series.n_points as f64);
                answer.line("time", format_args!("a volume every {seconds} s, {in_all} in all"));
            }
            None => answer.line("time", "its steps are not in seconds"),
        }
    }
    match &info.matrix.places {
        Places::Dense(models) => {
            for model in models.models() {
                let of = match &model.kind {
                    BrainModelKind::Surface { n_vertices, .. } => format!("of {n_vertices} vertices"),
                    BrainModelKind::Voxels { .. } => "voxels".to_owned(),
                };
                answer.line("structure", format_args!("{:<28} {:>7} {of}", model.structure.name(), model.count()));
            }
        }
        Places::Parcels(parcels) => answer.line("parcels", parcels.parcels().len()),
    }
    if let Maps::Labels(maps) = &info.matrix.maps {
        let keys = reader.read_keys()?;
        for (map, keys) in maps.iter().zip(&keys) {
            answer.line("map", &map.name);
            for label in map.labels.iter().take(SHOWN_LABELS) {
                let n = keys.iter().filter(|key| **key == label.key).count();
                answer.line("", format_args!("{:>6}  {:<28} {}", label.key, label.name, counted(n, "place")));
            }
            if map.labels.len() > SHOWN_LABELS {
                answer.line("", format_args!("        and {} more", map.labels.len() - SHOWN_LABELS));
            }
        }
        return Ok(());
    }
    if let Maps::Scalars(maps) = &info.matrix.maps {
        for map in maps.iter().take(SHOWN_LABELS) {
            answer.line("map", &map.name);
        }
    }
    let (places, maps): (Vec<usize>, Vec<usize>) = ((0..info.n_places()).collect(), (0..info.n_maps()).collect());
    // A place at a time is a short series: what does not vary is counted here, and the range by the summary.
    let (mut summary, mut n_constant) = (Summary::of(info.n_maps()), 0);
    let bar = ProgressBar::new(info.n_places() as u64);
    reader.each_place(&places, &maps, |_, values| {
        summary.add(values);
        n_constant += usize::from(values.iter().all(|value| *value == values[0]));
        bar.inc(1);
        Ok::<(), CiftiError>(())
    })?;
    bar.finish_and_clear();
    answer.line("values", range(summary.least, summary.largest));
    if summary.n_non_finite > 0 {
        answer.line("", format_args!("{} are no numbers or infinite", summary.n_non_finite));
    }
    if info.n_maps() > 1 && n_constant > 0 {
        answer.line("", format_args!("{} the same in every map", counted(n_constant, "place")));
    }
    Ok(())
}

fn matrix(answer: &mut Answer, path: &Path, bytes: u64) -> Result<(), Failed> {
    let mut reader = MatrixReader::open(path)?;
    let (n_rows, n_columns) = (reader.n_rows(), reader.n_columns());
    answer.line("file", format_args!("NumPy matrix, {}", size(bytes)));
    answer.line("shape", format_args!("{n_rows} rows of {n_columns}"));
    let mut summary = Summary::of(n_columns);
    let step = (BLOCK_VALUES / n_columns.max(1)).max(1);
    for first in (0..n_rows).step_by(step) {
        for row in reader.rows(first..(first + step).min(n_rows))?.rows() {
            summary.add(row.as_slice().expect("rows of a block lie side by side"));
        }
    }
    answer.line("values", range(summary.least, summary.largest));
    if summary.n_non_finite > 0 {
        answer.line("", format_args!("{} are no numbers or infinite", summary.n_non_finite));
    }
    if let Some(n) = summary.n_constant().filter(|n| *n > 0) {
        answer.line("", format_args!("{} the same in every row", counted(n, "column")));
    }
    Ok(())
}

fn table(answer: &mut Answer, path: &Path, bytes: u64) -> Result<(), Failed> {
    let table = Table::read(path)?;
    answer.line("file", format_args!("TSV table, {}", size(bytes)));
    answer.line(
        "shape",
        format_args!("{} of {}", counted(table.n_rows(), "row"), counted(table.columns().len(), "column")),
    );
    for (place, column) in table.columns().iter().enumerate() {
        let missing = table.rows().iter().filter(|row| matches!(row[place].trim(), "" | "n/a")).count();
        let first = table.rows().first().map_or("", |row| row[place].as_str());
        let gaps = if missing > 0 { format!(", {missing} missing") } else { String::new() };
        answer.line("column", format_args!("{column}: {first}{gaps}"));
    }
    Ok(())
}
