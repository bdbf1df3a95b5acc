//! What the pages of `docs/` and README say, held to the tree as it is.

mod paths;
