//! Films, against frames whose numbers are known from their grey level.

mod videos;
