//! Foreign bytes to our types and back: arrays, tables, brain images, models, dataset folders.
//!
//! Owns the byte layouts and the checks that make a stranger's file safe to open: every size is compared with the length
//! of the file before memory is asked for, and every error names the file. Knows nothing of what the numbers mean; for
//! that go on to [`crate::brain`] (voxels, atlases, runs) and [`crate::model`].
//!
//! | module | format |
//! |---|---|
//! | [`npy`] | NumPy `.npy` matrices, whole or by blocks |
//! | [`tsv`] | tab-separated tables as BIDS writes them |
//! | [`nifti`] | NIfTI-1 and NIfTI-2 volumes and series, `.nii` and `.nii.gz` |
//! | [`cifti`] | CIFTI-2 series, scalars and labels on surfaces and in volumes |
//! | [`runs`] | the files of one run, and everything that can be wrong with a folder of them |
//! | [`bids`], [`hcp`], [`matrices`] | where runs are: BIDS derivatives, the Human Connectome Project, `.npy` files |
//! | [`motion`] | the columns of head motion in a table of confounds |
//! | [`annex`] | stand-ins of files that were not fetched |
//! | [`onnx`] | ONNX protobuf messages |
//! | [`torch`] | PyTorch checkpoints, without running what they pickle |
//! | [`mapped`] | files in memory that may be cut short meanwhile |
//! | [`memory`] | how much memory one thing out of a file may take |
//! | [`secret`] | texts without the secrets in them |

pub mod annex;
pub mod bids;
pub mod cifti;
pub mod hcp;
pub mod mapped;
pub mod matrices;
pub mod memory;
pub mod motion;
pub(crate) mod names;
pub mod nifti;
pub mod npy;
pub mod onnx;
pub mod runs;
pub mod secret;
pub mod torch;
pub mod tsv;
