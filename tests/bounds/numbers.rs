//! Readers of arrays, tables, brain images and weights.

use std::path::Path;

use hebb::{
    format::{
        cifti::{CiftiError, CiftiReader, read_cifti_info},
        nifti::{VolumeReader, read_extensions, read_labels, read_volume},
        npy::{read_matrix, read_vector},
        torch::TorchFile,
        tsv::{Table, read_numbers},
    },
    model::weights::Weights,
    stimulus::Transcript,
};

use super::{
    files::{cifti, gzip, nifti1, nifti2, noise, npy, series_xml, sparse, swelling, write, zip},
    readers::{Case, DEEP, told},
};

pub(super) const CASES: &[Case] = &[
    Case {
        name: "npy/shape",
        make: |path| {
            write(
                path,
                npy("{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387904, 4611686018427387904), }"),
            );
        },
        read: |path| told(read_matrix(path)),
        says: &["its header promises"],
    },
    Case {
        name: "npy/shape-whose-product-wraps",
        make: |path| write(path, npy("{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387904, 4), }")),
        read: |path| told(read_matrix(path)),
        says: &["its header promises"],
    },
    Case {
        name: "npy/header",
        make: |path| write(path, b"\x93NUMPY\x02\x00\xff\xff\xff\xff{'descr'"),
        read: |path| told(read_matrix(path)),
        says: &["oversized header"],
    },
    Case {
        name: "npy/honest-beyond-the-budget",
        make: |path| {
            sparse(path, &npy("{'descr': '<f4', 'fortran_order': False, 'shape': (4096, 4096), }"), 128 + (64 << 20));
        },
        read: |path| told(read_matrix(path)),
        says: &["4096 x 4096 numbers", "67108864 bytes", "budget of 16777216", "`hebb run --memory GB`"],
    },
    Case {
        name: "npy/vector-beyond-the-budget",
        make: |path| {
            sparse(path, &npy("{'descr': '<f4', 'fortran_order': False, 'shape': (16777216,), }"), 128 + (64 << 20));
        },
        read: |path| told(read_vector(path)),
        says: &["a vector of 16777216 numbers", "budget of 16777216"],
    },
    Case {
        name: "tsv/too-long",
        make: |path| sparse(path, b"a\tb\n", 1 << 40),
        read: |path| told(Table::read(path)),
        says: &["a table may have"],
    },
    Case {
        name: "tsv/one-endless-line",
        make: |path| write(path, "a\t".repeat(1 << 20)),
        read: |path| told(Table::read(path)),
        says: &["a table of 1048577 fields in 1 lines", "budget"],
    },
    Case {
        name: "tsv/device-without-end",
        make: |_| (),
        read: |_| told(Table::read(Path::new("/dev/zero"))),
        says: &["`/dev/zero`", "bytes or more", "budget"],
    },
    Case {
        name: "tsv/numbers-too-long",
        make: |path| sparse(path, b"a\tb\n", 1 << 40),
        read: |path| told(read_numbers(path, ["a", "b"])),
        says: &["expected at most"],
    },
    Case {
        name: "tsv/numbers-of-many-lines",
        make: |path| write(path, "a\n".to_owned() + &"\n".repeat(1 << 20)),
        read: |path| told(read_numbers(path, ["a"])),
        says: &["a table of 1048577 lines", "budget"],
    },
    Case {
        name: "transcript",
        make: |path| sparse(path, b"onset\tduration\tword\n", 1 << 40),
        read: |path| told(Transcript::read(path)),
        says: &["a table may have"],
    },
    Case {
        name: "nifti/dims",
        make: |path| write(path, nifti1([7, 32767, 32767, 32767, 32767, 32767, 32767, 32767], 64, 64)),
        read: |path| told(read_volume(path)),
        says: &["only three axes of space and one of time"],
    },
    Case {
        name: "nifti/series",
        make: |path| write(path, nifti1([4, 32767, 32767, 32767, 32767, 1, 1, 1], 64, 64)),
        read: |path| told(VolumeReader::open(path)),
        says: &["cannot hold the"],
    },
    Case {
        name: "nifti/compressed",
        make: |path| write(path, gzip(nifti1([4, 32767, 32767, 32767, 32767, 1, 1, 1], 64, 64).as_slice())),
        read: |path| told(VolumeReader::open(path)),
        says: &["cannot hold the"],
    },
    Case {
        name: "nifti/bomb",
        make: |path| {
            let header = nifti1([3, 512, 512, 80, 1, 1, 1, 1], 2, 8);
            write(path, swelling(&header, 20));
        },
        read: |path| told(read_volume(path)),
        says: &["volumes of 512 x 512 x 80 voxels", "budget of 16777216"],
    },
    Case {
        name: "nifti/bomb-of-labels",
        make: |path| {
            let header = nifti1([3, 512, 512, 80, 1, 1, 1, 1], 2, 8);
            write(path, swelling(&header, 20));
        },
        read: |path| told(read_labels(path)),
        says: &["volumes of 512 x 512 x 80 voxels", "budget of 16777216"],
    },
    Case {
        name: "nifti2/dims",
        make: |path| write(path, nifti2([4, i64::MAX, i64::MAX, i64::MAX, i64::MAX, 1, 1, 1], 544, 0)),
        read: |path| told(VolumeReader::open(path)),
        says: &["cannot hold the"],
    },
    Case {
        name: "nifti2/data-far-away",
        make: |path| write(path, nifti2([3, 1, 1, 1, 1, 1, 1, 1], 1 << 60, 0)),
        read: |path| told(read_extensions(path)),
        says: &["cannot hold the"],
    },
    Case {
        name: "nifti2/extension",
        make: |path| {
            let mut bytes = nifti2([3, 1, 1, 1, 1, 1, 1, 1], 544 + 64, 0);
            bytes.extend(0x7fff_fff0_i32.to_le_bytes());
            bytes.extend([0; 100]);
            write(path, bytes);
        },
        read: |path| told(read_extensions(path)),
        says: &["a header extension of 2147483632 bytes"],
    },
    Case {
        name: "nifti2/swelling-extension",
        make: |path| {
            let n_bytes = 64 << 20;
            let mut header = nifti2([3, 1, 1, 1, 1, 1, 1, 1], 544 + n_bytes, 0);
            header.extend((n_bytes as i32).to_le_bytes());
            header.extend([6, 0, 0, 0]);
            write(path, swelling(&header, 64));
        },
        read: |path| told(read_extensions(path)),
        says: &["a header extension of 67108856 bytes", "budget"],
    },
    Case {
        name: "cifti/volume",
        make: |path| write(path, cifti(&series_xml("2", "32768,32768,32768"), 2, 1)),
        read: |path| told(read_cifti_info(path)),
        says: &["expected between 1 and 1073741824 voxels"],
    },
    Case {
        name: "cifti/points",
        make: |path| write(path, cifti(&series_xml("1152921504606846976", "2,2,2"), 1 << 60, 1)),
        read: |path| told(read_cifti_info(path)),
        says: &["cannot hold the"],
    },
    Case {
        name: "cifti/points-that-the-header-has-not",
        make: |path| write(path, cifti(&series_xml("1152921504606846976", "2,2,2"), 2, 1)),
        read: |path| told(read_cifti_info(path)),
        says: &["has a matrix of dimensions"],
    },
    Case {
        name: "cifti/points-that-a-compressed-file-has-not",
        make: |path| {
            // As many bytes that do not shrink as let the rest be promised.
            let bytes = [cifti(&series_xml("4000000", "2,2,2"), 4_000_000, 1), noise(100_000)].concat();
            write(path, gzip(bytes.as_slice()));
        },
        read: |path| {
            let mut reader = CiftiReader::open(path).map_err(|error| error.to_string())?;
            let maps: Vec<usize> = (0..1000).collect();
            told(reader.each_place(&[0], &maps, |_, _| Ok::<(), CiftiError>(())))
        },
        says: &["ends inside place 0 of 1"],
    },
    Case {
        name: "cifti/depth",
        make: |path| write(path, cifti(&format!("<CIFTI Version=\"2\">{}", "<a>".repeat(100_000)), 2, 1)),
        read: |path| told(read_cifti_info(path)),
        says: &["deep in each other"],
    },
    Case {
        name: "cifti/entities",
        make: |path| write(path, cifti("<!DOCTYPE a [<!ENTITY l \"ha\">]><CIFTI Version=\"2\"/>", 2, 1)),
        read: |path| told(read_cifti_info(path)),
        says: &["declares a document type"],
    },
    Case {
        name: "cifti/xml-beyond-the-budget",
        make: |path| write(path, cifti(&format!("<CIFTI Version=\"2\">{}</CIFTI>", "<MD/>".repeat(200_000)), 2, 1)),
        read: |path| told(read_cifti_info(path)),
        says: &["a description in XML of", "budget"],
    },
    Case {
        name: "torch/zip-entries",
        make: |path| write(path, zip(1 << 60)),
        read: |path| told(TorchFile::open(path)),
        says: &["no whole checkpoint"],
    },
    Case {
        name: "torch/text-of-a-pickle",
        make: |path| write(path, b"\x80\x02\x8d\xff\xff\xff\xff\xff\xff\xff\x7fa."),
        read: |path| told(TorchFile::open(path)),
        says: &["PyTorch"],
    },
    Case {
        name: "torch/depth",
        make: |path| write(path, [&b"\x80\x02"[..], &b"]".repeat(DEEP / 5), &b"a".repeat(DEEP / 5 - 1), b"."].concat()),
        read: |path| told(TorchFile::open(path)),
        says: &[],
    },
    Case {
        name: "safetensors/header",
        make: |path| write(path, [&(1_u64 << 60).to_le_bytes()[..], b"{}"].concat()),
        read: |path| {
            let model = path.with_extension("safetensors");
            std::fs::rename(path, &model).map_err(|error| error.to_string())?;
            told(Weights::open(&model))
        },
        says: &["is not valid", "ader"],
    },
    Case {
        name: "safetensors/depth",
        make: |path| write(path, [&(DEEP as u64).to_le_bytes()[..], &b"[".repeat(DEEP)].concat()),
        read: |path| {
            let model = path.with_extension("safetensors");
            std::fs::rename(path, &model).map_err(|error| error.to_string())?;
            told(Weights::open(&model))
        },
        says: &["is not valid"],
    },
    Case {
        name: "safetensors/shape",
        make: |path| {
            let header =
                r#"{"a":{"dtype":"F32","shape":[4611686018427387904,4611686018427387904],"data_offsets":[0,16]}}"#;
            write(path, [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &[0; 16]].concat());
        },
        read: |path| {
            let model = path.with_extension("safetensors");
            std::fs::rename(path, &model).map_err(|error| error.to_string())?;
            told(Weights::open(&model))
        },
        says: &["is not valid"],
    },
];
