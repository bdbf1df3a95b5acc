//! Atlases as they are distributed, on the grids of other images: equal to nilearn (fixtures made by
//! `tests/scripts/make_atlas_fixtures.py`), and refused where nothing honest can be read.

use std::path::{Path, PathBuf};

use hebb::brain::atlas::{Atlas, AtlasError, AtlasWarning, Grouping, Reading};
use hebb::brain::grid::{Grid, LinearResampling, resample_labels};
use hebb::brain::mask::{Mask, VoxelSelection, VoxelTable};
use hebb::format::nifti::{VolumeReader, read_info, read_labels, write_labels};
use tempfile::TempDir;

use super::fixture;

const TARGETS: [&str; 7] = ["rotated", "flipped", "sheared", "anisotropic", "permuted", "half_voxel", "larger"];

fn maps(path: &Path) -> (Grid, Vec<Vec<f32>>) {
    let mut reader = VolumeReader::open(path).unwrap();
    let grid = Grid::of_image(reader.info()).unwrap();
    let mut volumes = Vec::new();
    reader
        .each_volume(|_, values| {
            volumes.push(values.to_vec());
            Ok::<(), AtlasError>(())
        })
        .unwrap();
    (grid, volumes)
}

fn atlas_fixture(name: &str) -> PathBuf {
    fixture(&format!("atlas/{name}.nii.gz"))
}

/// A table in a folder that lasts as long as the test.
fn table(name: &str, text: &str) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, text).unwrap();
    (folder, path)
}

#[test]
fn labels_past_65535_are_resampled_as_by_nilearn() {
    let (info, labels) = read_labels(&atlas_fixture("labels")).unwrap();
    let source = Grid::of_image(&info).unwrap();
    assert!(labels.contains(&100_001) && labels.contains(&16_777_217));
    for name in TARGETS {
        let (info, expected) = read_labels(&atlas_fixture(&format!("{name}_labels"))).unwrap();
        let found = resample_labels(&labels, &source, &Grid::of_image(&info).unwrap()).unwrap();
        let differing = found.iter().zip(&expected).filter(|(a, b)| a != b).count();
        assert_eq!(differing, 0, "{name}: {differing} of {} voxels", expected.len());
        assert!(expected.iter().filter(|&&label| label != 0).count() > 50, "{name}");
    }
}

#[test]
fn maps_are_interpolated_as_by_nilearn() {
    let (source, volumes) = maps(&atlas_fixture("maps"));
    for name in TARGETS {
        let (target, expected) = maps(&atlas_fixture(&format!("{name}_maps")));
        let resampling = LinearResampling::new(&source, &target).unwrap();
        for (volume, expected) in volumes.iter().zip(&expected) {
            let found = resampling.resample(volume);
            assert!(found.len() == expected.len() && found.iter().all(|value| value.is_finite()), "{name}");
            let largest = found.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(largest <= 1e-5, "{name}: {largest}");
            assert!(expected.iter().filter(|&&value| value > 0.0).count() > 50, "{name}");
        }
    }
}

#[test]
fn voxels_above_the_threshold_are_those_of_nilearn() {
    const THRESHOLD: f64 = 0.45;
    let reading = Reading { threshold: Some(THRESHOLD), ..Reading::default() };
    let (_folder, names) = table("maps.tsv", "index\tname\n1\tfirst\n2\tsecond\n");
    let atlas = Atlas::read_as(&atlas_fixture("maps"), Some(&names), &reading).unwrap();
    assert_eq!(atlas.network_names(), ["first", "second"]);
    for name in TARGETS {
        let (target, expected) = maps(&atlas_fixture(&format!("{name}_maps")));
        let (membership, _) = atlas.membership(&target).unwrap();
        assert!(membership.n_shared() > 0, "{name}");
        for voxel in 0..target.n_voxels() {
            for (map, values) in expected.iter().enumerate() {
                // nilearn rounds elsewhere, so that a value on the threshold may fall on either side of it.
                let undecided = (f64::from(values[voxel]) - THRESHOLD).abs() < 1e-5;
                let inside = f64::from(values[voxel]) >= THRESHOLD;
                assert!(undecided || membership.of(voxel).contains(&map) == inside, "{name} {voxel} {map}");
            }
        }
    }
}

#[test]
fn labels_are_exact_however_they_are_stored() {
    let (_folder, names) = table("a.tsv", "index\tname\n65536\tlow\n100001\thigh\n");
    let read = |stored: &str| Atlas::read(&atlas_fixture(&format!("stored_{stored}")), &names);
    let expected = read("int64").unwrap();
    assert!(expected.warnings.is_empty());
    for stored in ["float32", "float64", "uint32"] {
        assert_eq!(read(stored).unwrap(), expected, "{stored}");
    }
    let error = read("nan").unwrap_err().to_string();
    assert!(error.contains("holds the value NaN at voxel [2, 1, 0], expected whole-number labels"), "{error}");
}

#[test]
fn several_parcellations_in_one_image_are_refused_by_name() {
    let (_folder, names) = table("a.tsv", "index\tname\n65536\tlow\n100001\thigh\n");
    let image = atlas_fixture("several");
    let error = Atlas::read(&image, &names).unwrap_err();
    assert!(matches!(error, AtlasError::SeveralVolumes { n_volumes: 2, .. }));
    let text = error.to_string();
    assert!(
        text.contains("several.nii.gz` has 2 volumes, a label atlas has one") && text.contains("threshold"),
        "{text}"
    );
    let reading = Reading { threshold: Some(0.5), ..Reading::default() };
    let atlas = Atlas::read_as(&image, None, &reading).unwrap();
    let error = atlas.membership(&atlas.grid).unwrap_err().to_string();
    assert!(error.contains("volume 0 holds whole numbers up to 100001, which are labels"), "{error}");
}

#[test]
fn fsl_labels_are_one_more_than_their_index() {
    let xml = "<atlas><header><type>Probabalistic</type></header><data>\
               <label index=\"0\" x=\"48\" y=\"94\" z=\"35\">Frontal Pole</label>\
               <label index=\"6\" x=\"1\" y=\"2\" z=\"3\">Insular Cortex</label></data></atlas>";
    let (_folder, names) = table("HarvardOxford-Cortical.xml", xml);
    let atlas = Atlas::read(&atlas_fixture("labels"), &names).unwrap();
    assert_eq!(atlas.parcels.iter().map(|parcel| parcel.index).collect::<Vec<_>>(), [1, 7]);
    let (membership, _) = atlas.membership(&atlas.grid).unwrap();
    let (_, labels) = read_labels(&atlas_fixture("labels")).unwrap();
    let count = |wanted: i32| labels.iter().filter(|&&label| label == wanted).count();
    assert_eq!(membership.counts(), [count(1), count(7)]);
    assert!(atlas.warnings.iter().any(|warning| matches!(warning, AtlasWarning::LabelWithoutRow { label: 255, .. })));
}

#[test]
fn schaefer_tables_of_either_kind_give_the_same_networks() {
    let lines = [(1, "7Networks_LH_Vis_1", [120, 18, 131]), (7, "7Networks_RH_Default_PFC_1", [205, 62, 78])];
    let colors: String = lines.iter().map(|(i, name, [r, g, b])| format!("{i}\t{name}\t{r}\t{g}\t{b}\t0\n")).collect();
    let tsv: String =
        lines.iter().map(|(i, name, [r, g, b])| format!("{i}\t{name}\t#{r:02x}{g:02x}{b:02x}\r\n")).collect();
    let (_first, colors) = table("order.txt", &colors);
    let (_second, tsv) = table("dseg.tsv", &format!("\u{feff}index\tname\tcolor\r\n{tsv}"));
    let of_colors = Atlas::read(&atlas_fixture("labels"), &colors).unwrap();
    assert_eq!(of_colors.network_names(), ["Vis", "Default"]);
    assert_eq!(of_colors, Atlas::read(&atlas_fixture("labels"), &tsv).unwrap());
    let reading = Reading { networks: Grouping::Parcels, ..Reading::default() };
    let parcels = Atlas::read_as(&atlas_fixture("labels"), Some(&tsv), &reading).unwrap();
    assert_eq!(parcels.network_names(), ["7Networks_LH_Vis_1", "7Networks_RH_Default_PFC_1"]);
}

#[test]
fn tables_without_header_are_refused_with_their_first_line() {
    let (_folder, names) = table("a.tsv", "1\tV1\n7\tV2\n");
    let error = Atlas::read(&atlas_fixture("labels"), &names).unwrap_err().to_string();
    assert!(
        error.contains("a.tsv` is no table of labels, it begins `1 V1`: as TSV its header needs columns"),
        "{error}"
    );
}

#[test]
fn a_mask_on_another_grid_gets_the_networks_of_its_places() {
    let (_folder, names) = table("a.tsv", "index\tname\n1\tone\n7\tseven\n255\tlast\n");
    let atlas = Atlas::read(&atlas_fixture("labels"), &names).unwrap();
    let info = read_info(&atlas_fixture("rotated_labels")).unwrap();
    let grid = Grid::of_image(&info).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mask.nii.gz");
    write_labels(&path, grid.shape, grid.affine, &vec![1; grid.n_voxels()]).unwrap();
    let mask = Mask::read(&path).unwrap();
    let table = VoxelTable::new(&mask, Some(&atlas), &VoxelSelection::InNetworks).unwrap();
    let (_, expected) = read_labels(&atlas_fixture("rotated_labels")).unwrap();
    for (network, label) in [1, 7, 255].into_iter().enumerate() {
        assert_eq!(table.counts()[network], expected.iter().filter(|&&found| found == label).count());
    }
}

#[test]
fn overlapping_networks_survive_the_voxel_table() {
    let reading = Reading { threshold: Some(0.45), ..Reading::default() };
    let atlas = Atlas::read_as(&atlas_fixture("maps"), None, &reading).unwrap();
    let mask = Mask { path: "m".into(), grid: atlas.grid, inside: vec![true; atlas.grid.n_voxels()] };
    let table = VoxelTable::new(&mask, Some(&atlas), &VoxelSelection::InNetworks).unwrap();
    assert!(table.membership.n_shared() > 0);
    let folder = tempfile::tempdir().unwrap();
    table.write(folder.path()).unwrap();
    let text = std::fs::read_to_string(folder.path().join("voxels.tsv")).unwrap();
    assert!(text.contains("\tmap-1;map-2\n"));
    assert_eq!(VoxelTable::read(folder.path()).unwrap(), table);
}
