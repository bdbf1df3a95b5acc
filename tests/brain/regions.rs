//! Erosion and connected parts equal scipy's (fixtures made by `tests/scripts/make_atlas_fixtures.py`).

use hebb::brain::atlas::Network;
use hebb::brain::grid::Grid;
use hebb::brain::mask::Mask;
use hebb::brain::membership::Membership;
use hebb::brain::regions::cleaning::{Cleaning, cleaned};
use hebb::brain::regions::{NetworkChanges, eroded, without_small_components};

use super::fixture;

fn region(name: &str) -> (Grid, Vec<bool>) {
    let mask = Mask::read(&fixture(&format!("atlas/{name}.nii.gz"))).unwrap();
    (mask.grid, mask.inside)
}

#[test]
fn regions_are_those_of_scipy() {
    let (grid, inside) = region("region");
    for (name, found) in [
        ("region_eroded_1", eroded(&inside, grid.shape, 1)),
        ("region_eroded_2", eroded(&inside, grid.shape, 2)),
        ("region_pieces_of_3", without_small_components(&inside, grid.shape, 3)),
    ] {
        let (_, expected) = region(name);
        assert_eq!(found, expected, "{name}");
        assert!(expected.contains(&true) && expected != inside, "{name}");
    }
}

#[test]
fn a_network_is_cleaned_as_its_mask() {
    let (grid, inside) = region("region");
    let membership = Membership::from_single(1, inside.iter().map(|inside| inside.then_some(0)));
    let networks = [Network { name: "blobs".to_owned(), color: None }];
    let cleaning = Cleaning { erode_voxels: 1, smallest_piece_voxels: 5, smallest_network_voxels: 0 };
    let (found, warnings) = cleaned(&membership, &networks, grid.shape, &cleaning);
    let (_, expected) = region("region_eroded_1_pieces_of_5");
    assert_eq!(found.rows().map(|row| !row.is_empty()).collect::<Vec<_>>(), expected);
    assert_eq!(warnings.len(), 1);
    assert!(warnings[0].to_string().starts_with("network `blobs` lost "), "{}", warnings[0]);
}

#[test]
fn a_study_says_what_happens_to_networks() {
    let changes: NetworkChanges = toml::from_str(
        "clean = { smallest_network_voxels = 3 }\n\
         [[combine]]\nname = \"language\"\noperation = \"union\"\nof = [\"A\", \"B\"]\nkeep_parts = false\n",
    )
    .unwrap();
    let networks = ["A", "B", "C"].map(|name| Network { name: name.to_owned(), color: None });
    let membership = Membership::from_members(8, &[vec![0, 1], vec![1, 2], vec![7]]);
    let (found, names, warnings) = changes.apply(&membership, &networks, [2, 2, 2]).unwrap();
    assert_eq!(names.iter().map(|network| network.name.as_str()).collect::<Vec<_>>(), ["C", "language"]);
    assert_eq!(found.members(), [vec![], vec![0, 1, 2]]);
    assert_eq!(warnings[0].to_string(), "network `C` had 1 voxels, fewer than 3: it was emptied");
}
