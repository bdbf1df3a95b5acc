pub mod brain;
pub mod format;
pub mod math;
pub mod model;
pub mod report;
