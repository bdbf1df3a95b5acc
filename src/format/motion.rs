//! Head motion as fMRIPrep's tables of confounds have it, which other layouts are turned into.
//!
//! Owns the names of the six parameters and the sphere on which rotations become displacements. Knows nothing of where motion was
//! estimated or what is done with it.

/// The parameters' columns: translations in millimetres, then rotations in radians.
pub const MOTION_COLUMNS: [&str; 6] = ["trans_x", "trans_y", "trans_z", "rot_x", "rot_y", "rot_z"];

/// Radius of the sphere on which rotations become displacements (Power et al. 2012, NeuroImage 59:2142).
pub const HEAD_RADIUS_MM: f64 = 50.0;
