//! Any bytes taken for the XML of a CIFTI file, then for a whole file: an error or a matrix that is written and read back
//! as itself.

use std::path::Path;

use hebb::format::cifti::{CiftiError, CiftiReader, compose_xml, parse_xml};

/// Feeds one input.
pub fn run(bytes: &[u8]) {
    let path = Path::new("fuzzed.nii");
    if let Ok(matrix) = parse_xml(path, bytes)
        && let Ok(xml) = compose_xml(path, &matrix)
    {
        assert_eq!(parse_xml(path, xml.as_bytes()).expect("what is written is read"), matrix);
    }
    let Ok(mut reader) = CiftiReader::from_bytes(path, bytes.to_vec()) else { return };
    let places: Vec<usize> = (0..reader.info().n_places()).step_by(2).collect();
    let maps: Vec<usize> = (0..reader.info().n_maps()).collect();
    let mut n_read = 0;
    let outcome = reader.each_place(&places, &maps, |_, values| {
        assert_eq!(values.len(), maps.len());
        n_read += 1;
        Ok::<(), CiftiError>(())
    });
    assert!(outcome.is_err() || n_read == places.len());
    drop(CiftiReader::from_bytes(path, bytes.to_vec()).expect("it opened before").read_keys());
}
