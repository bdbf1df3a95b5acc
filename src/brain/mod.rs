//! Biological neurons: voxels, the networks they belong to, and their series.
//!
//! Owns everything between the files of a scanned (or simulated) brain and the matrix of TRs by voxels that encoding
//! models are fitted to. Knows nothing of models, patterns or scores; bytes are [`crate::format`]'s business.
//!
//! | module | question it answers |
//! |---|---|
//! | [`grid`] | where does a voxel lie, and what does another grid say there? |
//! | [`atlas`] | which network does a place belong to? |
//! | [`space`] | are two files in the same space? |
//! | [`membership`] | which networks does each voxel belong to? |
//! | [`regions`] | what is made of networks before voxels are chosen? |
//! | [`locations`] | where do the columns of a matrix lie? |
//! | [`assign`] | from an atlas of any kind to the networks of every place |
//! | [`head`] | how long is a run, and where do its values lie? |
//! | [`mask`] | which voxels are studied, in which order, of which network? |
//! | [`prepare`] | what did those voxels do, once what is not neural was taken out? |
//! | [`summary`] | what are the values of an image, without keeping them? |
//! | [`simulate`] | what would they do if the planted answer were true? |
//!
//! Volumes in memory run with the first axis fastest, as in NIfTI files; voxel tables run in C order of their indices.

pub mod assign;
pub mod atlas;
pub mod grid;
pub mod head;
pub mod locations;
pub mod mask;
pub mod membership;
pub mod prepare;
pub mod regions;
pub mod simulate;
pub mod space;
pub mod summary;
