//! The files of a voxel table, and maps from its columns back to volumes and CIFTI files.

use std::path::{Path, PathBuf};

use super::{Mask, MaskError, VoxelTable};
use crate::brain::atlas::Network;
use crate::brain::locations::Locations;
use crate::brain::membership::{Membership, parse_networks};
use crate::format::cifti::{BrainModels, CiftiReader, Maps, Matrix, NamedMap, Places, Position, write_maps};
use crate::format::nifti::{self, ImageHeader, SampleType, VolumeWriter};
use crate::format::tsv::{MISSING, Table};

/// What a mask is called without its ending.
const MASK: &str = "mask";
/// Endings of files on a grid, and on surfaces.
const ENDINGS: [&str; 2] = [".nii.gz", ".dscalar.nii"];

impl VoxelTable {
    /// Writes `voxels.tsv`, `networks.tsv` and `mask.nii.gz` or `mask.dscalar.nii` into a folder.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub fn write(&self, folder: &Path) -> Result<(), MaskError> {
        self.rows().write(&folder.join("voxels.tsv"))?;
        let mut rows = Table::new(["network", "n_voxels", "color"]);
        for (network, n_voxels) in self.networks.iter().zip(self.counts()) {
            rows.push([&network.name, &n_voxels.to_string(), network.color.as_deref().unwrap_or(MISSING)]);
        }
        rows.write(&folder.join("networks.tsv"))?;
        let Locations::Grid { grid, .. } = &self.locations else {
            return self.write_map(&folder.join(MASK), &vec![Some(1.0); self.n_voxels()], 0.0).map(drop);
        };
        let mut inside = vec![0; grid.n_voxels()];
        self.offsets().into_iter().for_each(|offset| inside[offset] = 1);
        Ok(nifti::write_labels(&folder.join(format!("{MASK}{}", ENDINGS[0])), grid.shape, grid.affine, &inside)?)
    }

    /// A row for each voxel: where it lies and its networks.
    fn rows(&self) -> Table {
        let names: Vec<&str> = self.networks.iter().map(|network| network.name.as_str()).collect();
        let rounded = |mm: f64| format!("{}", (mm * 1e3).round() / 1e3 + 0.0);
        match &self.locations {
            Locations::Grid { grid, voxels } => {
                let mut rows = Table::new(["i", "j", "k", "x", "y", "z", "network"]);
                for (position, &voxel) in voxels.iter().enumerate() {
                    let place = grid.to_mm(voxel).map(rounded);
                    let networks = self.membership.text(position, &names);
                    rows.push(voxel.map(|index| index.to_string()).into_iter().chain(place).chain([networks]));
                }
                rows
            }
            Locations::Grayordinates { models, places } => {
                let mut rows =
                    Table::new(["grayordinate", "structure", "vertex", "i", "j", "k", "x", "y", "z", "network"]);
                for (position, &index) in places.iter().enumerate() {
                    let place = models.place(index).expect("the places are among the models'");
                    let none = || MISSING.to_owned();
                    let [vertex, i, j, k, x, y, z] = match place.position {
                        Position::Vertex(vertex) => {
                            [vertex.to_string(), none(), none(), none(), none(), none(), none()]
                        }
                        Position::Voxel { ijk, mm } => {
                            let [i, j, k] = ijk.map(|index| index.to_string());
                            let [x, y, z] = mm.map(rounded);
                            [none(), i, j, k, x, y, z]
                        }
                    };
                    let networks = self.membership.text(position, &names);
                    let structure = place.structure.name().to_owned();
                    rows.push([index.to_string(), structure, vertex, i, j, k, x, y, z, networks]);
                }
                rows
            }
        }
    }

    /// Reads back what [`VoxelTable::write`] wrote.
    ///
    /// # Errors
    /// If a file is not readable, or a voxel lies outside of what the mask holds, out of order or in an unknown network.
    pub fn read(folder: &Path) -> Result<Self, MaskError> {
        let table = Table::read(&folder.join("networks.tsv"))?;
        let (name, color) = (table.require("network")?, table.require("color")?);
        let networks: Vec<Network> = table
            .rows()
            .iter()
            .map(|row| Network {
                name: row[name].clone(),
                color: Some(row[color].clone()).filter(|text| text != MISSING),
            })
            .collect();

        let table = Table::read(&folder.join("voxels.tsv"))?;
        let surfaces = folder.join(format!("{MASK}{}", ENDINGS[1]));
        let locations = if surfaces.is_file() {
            grayordinates(&surfaces, &table)?
        } else {
            voxels_of(&Mask::read(&folder.join(format!("{MASK}{}", ENDINGS[0])))?, &table)?
        };
        let network_column = table.require("network")?;
        let names: Vec<&str> = networks.iter().map(|network| network.name.as_str()).collect();
        let mut membership = Vec::with_capacity(table.n_rows());
        for row in 0..table.n_rows() {
            let found = parse_networks(&table.rows()[row][network_column], &names);
            let error = |source| row_error(&table, row, format!("{source}: it is not in `networks.tsv`"));
            membership.push(found.map_err(error)?);
        }
        let membership = Membership::from_rows(networks.len(), membership);
        Ok(VoxelTable::with_warnings(locations, membership, networks))
    }

    /// The path of a map whose name without ending is `stem`: `.nii.gz` on a grid, `.dscalar.nii` on surfaces.
    #[must_use]
    pub fn map_path(&self, stem: &Path) -> PathBuf {
        let ending = ENDINGS[usize::from(self.locations.grid().is_none())];
        let mut path = stem.as_os_str().to_owned();
        path.push(ending);
        path.into()
    }

    /// Writes a map: one value per voxel of the table, `fill` where there is none and outside. Gives the path with its ending.
    ///
    /// # Errors
    /// If the number of values is not the number of voxels, or the file cannot be written.
    pub fn write_map(&self, stem: &Path, values: &[Option<f32>], fill: f32) -> Result<PathBuf, MaskError> {
        let name = stem.file_name().unwrap_or_default().to_string_lossy().into_owned();
        self.write_maps(stem, &[name], fill, |_| Ok(values.to_vec()))
    }

    /// Writes maps side by side, a volume or a named map each; `values` gives those of one by its number.
    ///
    /// # Errors
    /// As [`VoxelTable::write_map`], or whatever `values` returns.
    pub fn write_maps<E: From<MaskError>>(
        &self,
        stem: &Path,
        names: &[String],
        fill: f32,
        mut values: impl FnMut(usize) -> Result<Vec<Option<f32>>, E>,
    ) -> Result<PathBuf, E> {
        let path = self.map_path(stem);
        let offsets = self.offsets();
        let mut next = |map: usize, all: &mut [f32]| {
            let values = values(map)?;
            let (found, expected) = (values.len(), offsets.len());
            if found != expected {
                return Err(MaskError::MapLength { path: path.clone(), found, expected }.into());
            }
            offsets.iter().zip(values).for_each(|(&offset, value)| all[offset] = value.unwrap_or(fill));
            Ok::<(), E>(())
        };
        match &self.locations {
            Locations::Grid { grid, .. } => {
                let n_volumes = (names.len() > 1).then_some(names.len());
                let (shape, affine) = (grid.shape, grid.affine);
                let sample_type = SampleType::F32;
                let header = ImageHeader { shape, n_volumes, affine, repetition_time_s: 0.0, sample_type };
                let mut writer = VolumeWriter::create(&path, &header).map_err(MaskError::from)?;
                let mut volume = vec![fill; grid.n_voxels()];
                for map in 0..names.len() {
                    next(map, &mut volume)?;
                    writer.write_volume(&volume).map_err(MaskError::from)?;
                }
                writer.finish().map_err(MaskError::from)?;
            }
            Locations::Grayordinates { models, .. } => {
                let maps = Maps::Scalars(names.iter().map(NamedMap::new).collect());
                let mut all = vec![fill; names.len() * models.len()];
                for (map, row) in all.chunks_mut(models.len()).enumerate() {
                    next(map, row)?;
                }
                let matrix = Matrix::dense(maps, BrainModels::clone(models));
                write_maps(&path, &matrix, &all).map_err(MaskError::from)?;
            }
        }
        Ok(path)
    }
}

fn row_error(table: &Table, row: usize, reason: String) -> MaskError {
    MaskError::Row { path: table.path().to_owned(), line: table.line(row), reason }
}

fn voxels_of(mask: &Mask, table: &Table) -> Result<Locations, MaskError> {
    let [is, js, ks] = [table.integers("i")?, table.integers("j")?, table.integers("k")?];
    let mut voxels: Vec<[usize; 3]> = Vec::with_capacity(table.n_rows());
    for row in 0..table.n_rows() {
        let error = |reason: &str| row_error(table, row, reason.to_owned());
        let indices = [is[row], js[row], ks[row]].map(|index| index.and_then(|index| usize::try_from(index).ok()));
        let voxel = match indices {
            [Some(i), Some(j), Some(k)] if mask.grid.contains([i, j, k]) => [i, j, k],
            _ => return Err(error("the voxel lies outside the grid of `mask.nii.gz`")),
        };
        if voxels.last().is_some_and(|last| *last >= voxel) {
            return Err(error("the voxels are not in ascending order of i, j, k"));
        }
        voxels.push(voxel);
    }
    Ok(Locations::Grid { grid: mask.grid, voxels })
}

fn grayordinates(mask: &Path, table: &Table) -> Result<Locations, MaskError> {
    let reader = CiftiReader::open(mask)?;
    let Places::Dense(models) = &reader.info().matrix.places else {
        return Err(MaskError::Parcels { path: mask.to_owned() });
    };
    let mut places: Vec<usize> = Vec::with_capacity(table.n_rows());
    for (row, index) in table.integers("grayordinate")?.into_iter().enumerate() {
        let error = |reason: &str| row_error(table, row, reason.to_owned());
        let index = index.and_then(|index| usize::try_from(index).ok()).filter(|index| *index < models.len());
        let index = index.ok_or_else(|| error("the grayordinate is not one of `mask.dscalar.nii`"))?;
        if places.last().is_some_and(|last| *last >= index) {
            return Err(error("the grayordinates are not in ascending order"));
        }
        places.push(index);
    }
    Ok(Locations::Grayordinates { models: Box::new(models.clone()), places })
}
