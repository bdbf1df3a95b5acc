//! Files that other programs wrote.

mod torch;
