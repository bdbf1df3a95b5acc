//! Any bytes taken for a checkpoint of PyTorch: refused, or tensors that all lie inside the file.
//!
//! The first byte chooses: bytes as they are, or bytes as the pickle of an archive that is otherwise right, since a checksum
//! would stop every other mutation.

use std::{fs, io::Write};

use hebb::format::torch::TorchFile;
use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

use super::scratch;

/// Feeds one input.
pub fn run(bytes: &[u8]) {
    let Some((choice, bytes)) = bytes.split_first() else { return };
    let file = if choice % 2 == 0 { bytes.to_vec() } else { archived(bytes) };
    let folder = scratch::folder();
    let path = folder.path().join("fuzzed.pt");
    fs::write(&path, &file).expect("writable");
    let Ok(checkpoint) = TorchFile::open(&path) else { return };
    for tensor in checkpoint.tensors().values() {
        // A tensor may repeat one element, so that its size has no bound; what costs no more than its file is gathered.
        if tensor.size_bytes() <= 1 << 20 {
            assert_eq!(checkpoint.bytes(tensor).len(), tensor.size_bytes());
        }
        if let Some(offset) = checkpoint.file_offset(tensor) {
            let inside = checkpoint.file_bytes(offset, tensor.size_bytes() as u64).expect("inside the file");
            assert_eq!(inside.len(), tensor.size_bytes());
        }
    }
    assert!(checkpoint.settings().is_object() || checkpoint.settings().is_null());
    checkpoint.assert_whole().expect("nobody changed it");
}

/// An archive as `torch.save` lays one out, with two storages.
fn archived(pickle: &[u8]) -> Vec<u8> {
    let mut zip = ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let stored = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    let entries: [(&str, &[u8]); 5] = [
        ("archive/data.pkl", pickle),
        ("archive/byteorder", b"little"),
        ("archive/data/0", &[7; 64]),
        ("archive/data/1", &[9; 256]),
        ("archive/version", b"3\n"),
    ];
    for (name, content) in entries {
        zip.start_file(name, stored).expect("in memory");
        zip.write_all(content).expect("in memory");
    }
    zip.finish().expect("in memory").into_inner()
}
